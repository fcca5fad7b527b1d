"""Command ``compare``: differences between systems, with confidence intervals and significance.

Reads:   score folders, and the model folders that they are in: configs, lineages, logs.
Writes:  one JSON file (see :mod:`asrkd.evaluation.compare.comparison`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.analysis import analyze
from asrkd.evaluation.compare.comparison import Comparison, write_comparison
from asrkd.evaluation.compare.conclusions import conclusions
from asrkd.evaluation.compare.evidence import Evidence, Resampling
from asrkd.evaluation.compare.fairness import examine
from asrkd.evaluation.compare.latency import measure_latency
from asrkd.evaluation.compare.systems import BASELINE, TEACHER, Roles, System, read_systems
from asrkd.evaluation.costs.measuring import Costs, Protocol, measure_costs


@dataclass(frozen=True)
class CompareRequest:
    """Request of a comparison: folders, roles, resampling and costs."""

    folders: Sequence[Path]  # model folders, or score folders
    score_name: str = "score-test"  # name of the score folder inside each model folder
    roles: Roles = Roles()
    resampling: Resampling = Resampling()
    costs_cuts: Path | None = None  # cuts on which to measure costs; None: no costs


def compare(request: CompareRequest, out: Path | None) -> Comparison:
    """Compare scored systems.

    Args:
        request: folders, roles, resampling and costs.
        out: JSON file to write the comparison to, if any.

    Raises:
        AsrkdError: a score is missing, unfinished or a duplicate; scores differ in
            references, normalizer, unit or alignment; a role names no system; costs
            are requested without a model, or with cuts that do not fit it; ``out``
            is a folder.
    """
    if out is not None and out.is_dir():
        raise AsrkdError(f"{out}: is a folder, expected the name of a JSON file to write")
    systems = read_systems(request.folders, request.score_name, request.roles)
    evidence = Evidence(systems, request.resampling)
    costs, protocol = _costs(systems, request.costs_cuts)
    score, resampling = systems[0].runs[0].score, request.resampling
    latency = measure_latency(systems, _name_of(BASELINE, systems), resampling)
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
        systems=[
            replace(result, latency=latency.get(result.name)) for result in analyze(systems, evidence, costs)
        ],
        fairness=examine(systems),
        conclusions=[],
        costs_protocol=protocol,
        unit=score.unit,
    )
    comparison = replace(comparison, conclusions=conclusions(comparison))
    if out is not None:
        write_comparison(out, comparison)
    return comparison


def _costs(systems: Sequence[System], cuts: Path | None) -> tuple[dict[str, Costs], Protocol | None]:
    """Measure the costs of the systems that have a model, if requested."""
    if cuts is None:
        return {}, None
    models = {system.name: system.runs[0].model for system in systems}
    present = {name: model for name, model in models.items() if model is not None}
    if not present:
        raise AsrkdError("--costs: none of the systems has a model; compare model folders, or remove --costs")
    return measure_costs(present, cuts)


def _name_of(role: str, systems: Sequence[System]) -> str | None:
    return next((system.name for system in systems if system.role == role), None)
