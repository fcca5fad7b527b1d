"""The table that a report begins with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asrkd import files
from asrkd.reporting.looks import Look, look
from asrkd.reporting.systems import Role, System, of_role
from asrkd.scoring.counts import Counts


@dataclass(frozen=True)
class ComparedRow:
    """A system's line."""

    look: Look
    role: Role
    params: int | None
    counts: Counts
    gap_closed: float | None  # share of the errors between baseline and teacher; None where there is no gap
    best: bool  # of the students


def comparison(systems: Sequence[System]) -> list[ComparedRow]:
    """A line for each system."""
    students = [system for system in systems if system.role is Role.STUDENT]
    least = min((system.score.counts.errors for system in students), default=None)
    return [
        ComparedRow(
            look=look(system),
            role=system.role,
            params=_params(system),
            counts=system.score.counts,
            gap_closed=_gap_closed(systems, system),
            best=system.role is Role.STUDENT and system.score.counts.errors == least,
        )
        for system in systems
    ]


def _params(system: System) -> int | None:
    scored: dict[str, Any] = files.read_json(system.score.path / "score.json")
    params = scored.get("params")
    return params if isinstance(params, int) else None


def _gap_closed(systems: Sequence[System], system: System) -> float | None:
    teacher, baseline = (of_role(systems, role, system.seed) for role in (Role.TEACHER, Role.BASELINE))
    if system.role is not Role.STUDENT or teacher is None or baseline is None:
        return None
    worst, best = baseline.score.counts.errors, teacher.score.counts.errors
    return (worst - system.score.counts.errors) / (worst - best) if worst > best else None
