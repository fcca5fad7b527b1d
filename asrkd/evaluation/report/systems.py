"""The systems of a report: each seed of each scored system, with what is known of its training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG
from asrkd.evaluation.compare import systems as comparing
from asrkd.evaluation.compare.systems import STUDENT, Roles, ScoredRun
from asrkd.scoring.score_folder import ScoreFolder
from asrkd.targets.store.used_stores import UsedStores, used_stores


@dataclass(frozen=True)
class ReportedSystem:
    """A system from one seed."""

    folder: Path | None  # of the model; None: transcripts were scored
    name: str
    seed: int
    label: str  # the name, with the seed where there are several
    role: str  # teacher, baseline or student
    number: int  # of the student among the students, from 0: its color and its mark
    score: ScoreFolder
    stores: UsedStores
    experiment: dict[str, Any]  # its resolved config; empty without a model


def read_systems(folders: Sequence[Path], score_name: str, roles: Roles) -> list[ReportedSystem]:
    """Read scored systems, as `asrkd compare` does: in the order given, the seeds of a system together.

    Raises:
        AsrkdError: a model or its score is missing, two are the same, or they were not scored alike.
    """
    compared = comparing.read_systems(folders, score_name, roles)
    students = [system.name for system in compared if system.role == STUDENT]
    return [
        _system(system, run, students.index(system.name) if system.role == STUDENT else 0)
        for system in compared
        for run in system.runs
    ]


def first_seeds(systems: Sequence[ReportedSystem]) -> list[ReportedSystem]:
    """The first system of each name: what is shown where all seeds would be too much."""
    return list({system.name: system for system in reversed(systems)}.values())[::-1]


def of_role(systems: Sequence[ReportedSystem], role: str, seed: int) -> ReportedSystem | None:
    """The system of a role and a seed; of any seed where that is absent, and None without one of the role."""
    found = [system for system in systems if system.role == role]
    return next((system for system in found if system.seed == seed), found[0] if found else None)


def _system(system: comparing.System, run: ScoredRun, number: int) -> ReportedSystem:
    experiment = files.read_json(run.model / MODEL_CONFIG)["experiment"] if run.model else {}
    return ReportedSystem(
        folder=run.model,
        name=system.name,
        seed=run.seed,
        label=system.name if len(system.runs) == 1 else f"{system.name} (seed {run.seed})",
        role=system.role,
        number=number,
        score=run.score,
        stores=used_stores(run.model) if run.model else UsedStores([], []),
        experiment=experiment,
    )
