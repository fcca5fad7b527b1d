"""Stage ``compare``: systems beside each other, as a table for people and a list for programs.

Reads:   model folders and the scores in them.
Writes:  one JSON list of system, seed, WER, counts, parameters and training time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

from asrkd import files
from asrkd.errors import AsrkdError
from asrkd.models.directory import CONFIG
from asrkd.training.metrics import read_metrics


@dataclass(frozen=True)
class SystemResult:
    """One system trained from one seed."""

    system: str
    seed: int
    wer: float  # a fraction
    errors: int
    words: int  # of the references
    params: int
    train_seconds: float


@dataclass(frozen=True)
class Comparison:
    """Results of systems, in the order in which they were named."""

    results: list[SystemResult]

    def text(self) -> str:
        """A table: the mean WER of each system, and its spread where there are several seeds."""
        rows: list[tuple[str, ...]] = [("system", "params", "seeds", "WER %", "errors / words", "train s")]
        for system in dict.fromkeys(result.system for result in self.results):
            rows.append(_row([result for result in self.results if result.system == system]))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def compare(folders: Sequence[Path], score_name: str, out: Path | None) -> Comparison:
    """Gather the results of model folders.

    Args:
        folders: of the models; a system is called by its folder's name, and
            folders of one name are its seeds.
        score_name: name of the folder that `asrkd score` wrote inside each.
        out: JSON file to write; None writes nothing.

    Raises:
        AsrkdError: a model has no such score, or two results are of the same
            system and seed.
    """
    results = [_read(folder, score_name) for folder in folders]
    taken: set[tuple[str, int]] = set()
    for folder, result in zip(folders, results, strict=True):
        if (result.system, result.seed) in taken:
            raise AsrkdError(f"{folder}: system {result.system!r} with seed {result.seed} comes twice")
        taken.add((result.system, result.seed))
    if out is not None:
        files.write_json(out, [asdict(result) for result in results])
    return Comparison(results)


def _read(folder: Path, score_name: str) -> SystemResult:
    path = folder / score_name / "score.json"
    remedy = f"make it with: asrkd score {folder} --cuts ... --out {path.parent}"
    if not path.is_file():
        raise AsrkdError(f"{path}: no such file; {remedy}")
    scored, described = files.read_json(path), files.read_json(folder / CONFIG)
    ends = [record for record in read_metrics(folder / "metrics.jsonl") if record["kind"] == "end"]
    try:
        return SystemResult(
            system=folder.name,
            seed=described["experiment"]["seed"],
            wer=scored["wer"],
            errors=sum(scored["counts"][kind] for kind in ("substitutions", "deletions", "insertions")),
            words=scored["counts"]["reference_length"],
            params=scored["params"],
            train_seconds=ends[-1]["train_seconds"] if ends else 0.0,
        )
    except (KeyError, TypeError) as error:
        raise AsrkdError(f"{path}: not a score of the model beside it ({error!r}); {remedy}") from None


def _row(results: Sequence[SystemResult]) -> tuple[str, ...]:
    """A system's line of the table."""
    rates = [100 * result.wer for result in results]
    spread = f" ± {stdev(rates):.2f}" if len(rates) > 1 else ""
    errors = "; ".join(f"{result.errors} / {result.words}" for result in results)
    seconds = mean(result.train_seconds for result in results)
    seeds = " ".join(str(result.seed) for result in results)
    name, params = results[0].system, f"{results[0].params:,}"
    return name, params, seeds, f"{mean(rates):.2f}{spread}", errors, f"{seconds:.0f}"
