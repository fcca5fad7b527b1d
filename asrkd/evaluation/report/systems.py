"""Systems of a report: each seed of each scored system, with its stores, its config and its style."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG
from asrkd.evaluation.compare import systems as comparing
from asrkd.evaluation.compare.systems import BASELINE, STUDENT, TEACHER, Roles, ScoredRun
from asrkd.evaluation.report.figures.svg import Style
from asrkd.scoring.score_folder import ScoreFolder
from asrkd.targets.store.used_stores import UsedStores, used_stores

NUM_COLORS = 6  # colors of students in the stylesheet


@dataclass(frozen=True)
class ReportedSystem:
    """A system trained from one seed."""

    folder: Path | None  # model folder; None: transcripts were scored
    name: str
    seed: int
    label: str  # the name, with the seed if there are several
    role: str  # teacher, baseline or student
    number: int  # number among the students, from 0, which decides color and mark
    score: ScoreFolder
    stores: UsedStores
    experiment: dict[str, Any]  # resolved config of the model; empty without a model

    @property
    def style(self) -> Style:
        """Color and mark: the teacher in ink, the baseline in gray, students in colors."""
        if self.role == TEACHER:
            return Style(self.label, "c-teacher", 0)
        if self.role == BASELINE:
            return Style(self.label, "c-baseline", 1)
        return Style(self.label, f"c-{self.number % NUM_COLORS}", 2 + self.number % 3)


def read_systems(folders: Sequence[Path], score_name: str, roles: Roles) -> list[ReportedSystem]:
    """Read scored systems as `asrkd compare` does, in their order, with the seeds of a system together.

    Raises:
        AsrkdError: a model or its score is missing or a duplicate, or scores cannot be compared.
    """
    compared = comparing.read_systems(folders, score_name, roles)
    students = [system.name for system in compared if system.role == STUDENT]
    return [
        _system(system, run, students.index(system.name) if system.role == STUDENT else 0)
        for system in compared
        for run in system.runs
    ]


def first_seeds(systems: Sequence[ReportedSystem]) -> list[ReportedSystem]:
    """Return the first seed of each system, for views in which all seeds would be too many."""
    return list({system.name: system for system in reversed(systems)}.values())[::-1]


def of_role(systems: Sequence[ReportedSystem], role: str, seed: int) -> ReportedSystem | None:
    """Find the system of a role and a seed, or else of its first seed; None if no system has the role."""
    candidates = [system for system in systems if system.role == role]
    return next(
        (system for system in candidates if system.seed == seed), candidates[0] if candidates else None
    )


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
