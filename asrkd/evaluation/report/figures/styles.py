"""How a system looks in figures, tables and the browser of utterances: the same everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from asrkd.evaluation.compare.systems import BASELINE, TEACHER
from asrkd.evaluation.report.systems import ReportedSystem

NUM_COLORS = 6  # of students in the stylesheet


@dataclass(frozen=True)
class Look:
    """Color and mark; either tells systems apart without the other."""

    label: str
    css: str  # class of the stylesheet that sets --c, the color
    shape: int  # see asrkd.evaluation.report.figures.svg.mark


def look(system: ReportedSystem) -> Look:
    """The teacher in ink, the baseline in gray, students in colors."""
    if system.role == TEACHER:
        return Look(system.label, "c-teacher", 0)
    if system.role == BASELINE:
        return Look(system.label, "c-baseline", 1)
    return Look(system.label, f"c-{system.number % NUM_COLORS}", 2 + system.number % 3)


def looks(systems: Sequence[ReportedSystem]) -> list[Look]:
    """The looks of systems, in their order."""
    return [look(system) for system in systems]
