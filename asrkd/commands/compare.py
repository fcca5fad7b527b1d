"""Stage ``compare``: which system is better, by how much, and whether that is noise.

Reads:   score folders, and the model folders that they are in.
Writes:  one JSON file, read by asrkd.evaluation.compare.comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.analysis import analyze
from asrkd.evaluation.compare.comparison import Comparison, write_comparison
from asrkd.evaluation.compare.conclusions import conclusions
from asrkd.evaluation.compare.evidence import Evidence, Resampling
from asrkd.evaluation.compare.systems import BASELINE, TEACHER, Roles, System, read_systems
from asrkd.evaluation.costs.measuring import Costs, Protocol, measure_costs


@dataclass(frozen=True)
class CompareRequest:
    """What to compare, and how."""

    folders: Sequence[Path]  # of models, or of scores
    score_name: str = "score-test"  # of the score folder inside each model folder
    roles: Roles = Roles()
    resampling: Resampling = Resampling()
    costs_cuts: Path | None = None  # measure costs on these cuts; None: do not


def compare(request: CompareRequest, out: Path | None) -> Comparison:
    """Compare scored systems, and write the result to ``out`` if it is given.

    Raises:
        AsrkdError: a score is missing or unfinished, comes twice, is of other
            references, another normalizer, unit or alignment; no system has a name
            that was given; costs are asked for and there is no model, or the
            cuts for them do not fit one; ``out`` is a folder.
    """
    if out is not None and out.is_dir():
        raise AsrkdError(f"{out}: is a folder, expected the name of a JSON file to write")
    systems = read_systems(request.folders, request.score_name, request.roles)
    evidence = Evidence(systems, request.resampling)
    costs, protocol = _costs(systems, request.costs_cuts)
    score, resampling = systems[0].runs[0].score, request.resampling
    comparison = Comparison(
        set_name=score.set_name,
        num_utterances=len(score.utterances),
        num_words=score.counts.num_words,
        alignment=score.alignment,
        normalizer=score.normalizer,
        references_sha256=score.references_sha256,
        blocks=evidence.blocks,
        num_blocks=evidence.num_blocks,
        num_replicates=resampling.num_replicates,
        seed=resampling.seed,
        teacher=_name_of(TEACHER, systems),
        baseline=_name_of(BASELINE, systems),
        systems=analyze(systems, evidence, costs),
        conclusions=[],
        costs_protocol=protocol,
        unit=score.unit,
    )
    comparison = replace(comparison, conclusions=conclusions(comparison))
    if out is not None:
        write_comparison(out, comparison)
    return comparison


def _costs(systems: Sequence[System], cuts: Path | None) -> tuple[dict[str, Costs], Protocol | None]:
    """The costs of those systems that have a model, if they are asked for."""
    if cuts is None:
        return {}, None
    models = {system.name: system.runs[0].model for system in systems}
    found = {name: model for name, model in models.items() if model is not None}
    if not found:
        raise AsrkdError("--costs: no model among what is compared; name model folders")
    return measure_costs(found, cuts)


def _name_of(role: str, systems: Sequence[System]) -> str | None:
    return next((system.name for system in systems if system.role == role), None)
