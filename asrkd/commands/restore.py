"""Command ``restore``: a model folder without weights from a run record, to be compared and reported.

Reads:   a run record, and the cuts of its scores.
Writes:  a model folder without weights, and its score folders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.core.errors import AsrkdError, counted
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, set_name
from asrkd.evaluation.records.record import RunRecord, read_record
from asrkd.evaluation.records.restoring import restore_model, restore_score


@dataclass(frozen=True)
class RestoreReport:
    """Report of a restoration: folder, and the scores that were restored and left out."""

    out: Path
    record: RunRecord
    restored: tuple[str, ...]  # names of score folders
    left_out: tuple[str, ...]  # names of scores of sets without cuts

    def text(self) -> str:
        """Format the folder and its scores as one line."""
        steps = counted(self.record.stamp["steps"], "step")
        line = f"{self.out}: {self.record.system} with seed {self.record.seed}, {steps}, without weights; "
        line += ", ".join(self.restored) or "no scores"
        return f"{line}; without --cuts of their sets: {', '.join(self.left_out)}" if self.left_out else line


def restore(path: Path, manifests: Sequence[Path], out: Path, stop: StopRequest) -> RestoreReport:
    """Restore the model folder of a record, and those of its scores whose cuts are named.

    Args:
        path: run record.
        manifests: manifests of the scored cuts; their names are those of the sets, as for ``asrkd score``.
        out: model folder.
        stop: request to stop.

    Raises:
        AsrkdError: the record is damaged, cuts are others than those that were scored or of no score, or
            ``out`` is of another run.
        StoppedInTime: a stop was requested; finished scores stay.
    """
    record = read_record(path)
    by_set = _by_set(path, record, manifests)
    restore_model(record, out)
    restored = []
    for name, score in record.scores.items():
        if score.set in by_set:
            manifest = by_set[score.set]
            restore_score(score, read_cuts(manifest), manifest, out / name, stop)
            restored.append(name)
    left_out = tuple(name for name in record.scores if name not in restored)
    return RestoreReport(out, record, tuple(restored), left_out)


def _by_set(path: Path, record: RunRecord, manifests: Sequence[Path]) -> dict[str, Path]:
    """Return the manifests by the names of their sets; AsrkdError if one is a duplicate or of no score."""
    sets = sorted({score.set for score in record.scores.values()})
    by_set: dict[str, Path] = {}
    for manifest in manifests:
        name = set_name(manifest)
        if name in by_set:
            raise AsrkdError(
                f"--cuts {manifest}: of the set {name!r} is {by_set[name]} too; remove one of them"
            )
        if name not in sets:
            expected = ", ".join(f"cuts_{each}.jsonl.gz" for each in sets) or "no --cuts"
            raise AsrkdError(f"--cuts {manifest}: {path} has no score of a set {name!r}; expected {expected}")
        by_set[name] = manifest
    return by_set
