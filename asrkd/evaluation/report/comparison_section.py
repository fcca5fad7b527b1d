"""Comparison section of the report: the table of `asrkd compare`, with figures of its intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.evaluation.compare.comparison import FARTHEST, Comparison, SystemResult, read_comparison
from asrkd.evaluation.compare.conclusions import is_significant
from asrkd.evaluation.compare.systems import STUDENT
from asrkd.evaluation.report.figures.dots import Dot, DotRow, dot_figure
from asrkd.evaluation.report.figures.svg import Style
from asrkd.evaluation.report.page import end
from asrkd.evaluation.report.systems import ReportedSystem, first_seeds
from asrkd.scoring.counts import Counts, corpus_counts
from asrkd.scoring.significance.bootstrap import Interval
from asrkd.scoring.units import Unit


@dataclass(frozen=True)
class ComparedRow:
    """A row of the table: a system."""

    style: Style
    result: SystemResult
    counts: Counts  # summed over its seeds
    is_best: bool  # whether it is the best student
    is_significant: bool  # whether the difference from the baseline is significant
    has_reservations: bool  # whether the trainings were unequal, unsettled or stalled


@dataclass(frozen=True)
class ComparisonSection:
    """The table, its figures, and the systems of the lead sentence."""

    comparison: Comparison
    rows: list[ComparedRow]
    best: ComparedRow | None  # student
    teacher: ComparedRow | None
    baseline: ComparedRow | None
    rates: Markup
    differences: Markup | None

    @property
    def styles(self) -> dict[str, Style]:
        """Style of each system, by name."""
        return {row.result.name: row.style for row in self.rows}


def read_matching(path: Path, systems: Sequence[ReportedSystem]) -> Comparison:
    """Read the output of `asrkd compare --out`, which must be of these systems.

    Raises:
        AsrkdError: the comparison is of other systems, roles or scores.
    """
    comparison = read_comparison(path)
    compared = [
        (result.name, result.role, [(run.seed, run.errors) for run in result.runs])
        for result in comparison.systems
    ]
    reported = [
        (name, role, [(system.seed, system.score.counts.errors) for system in systems if system.name == name])
        for name, role in dict.fromkeys((system.name, system.role) for system in systems)
    ]
    score = systems[0].score
    references = (comparison.references_sha256, comparison.unit)
    if compared != reported or references != (score.references_sha256, score.unit):
        names = ", ".join(f"{name} as {role}" if name != role else name for name, role, _ in compared)
        maker = command("asrkd", "compare", "MODEL", "...", "--out", path)
        raise AsrkdError(
            f"{path}: compares other systems, roles or scores ({names}); compare these, in the same order "
            f"and with the same --teacher and --baseline: {maker}"
        )
    return comparison


def draw_comparison(comparison: Comparison, systems: Sequence[ReportedSystem]) -> ComparisonSection:
    """Draw the comparison of ``systems``."""
    students = [result for result in comparison.systems if result.role == STUDENT]
    best = min(students, key=lambda result: result.wer, default=None)
    rows = [
        ComparedRow(
            style=_style(systems, result.name),
            result=result,
            counts=corpus_counts(each.score.counts for each in systems if each.name == result.name),
            is_best=result is best,
            is_significant=result.difference is not None and is_significant(result.difference),
            has_reservations=comparison.fairness.has_reservations(result.name, comparison.baseline or ""),
        )
        for result in comparison.systems
    ]
    by_name = {row.result.name: row for row in rows}
    return ComparisonSection(
        comparison,
        rows,
        by_name[best.name] if best else None,
        by_name.get(comparison.teacher or ""),
        by_name.get(comparison.baseline or ""),
        _rates(rows, comparison.unit),
        _differences(rows, comparison),
    )


def _style(systems: Sequence[ReportedSystem], name: str) -> Style:
    """Return the style of a system's first seed, labeled with the name of the system."""
    (first,) = (system for system in first_seeds(systems) if system.name == name)
    return replace(first.style, label=name)


def _rates(rows: Sequence[ComparedRow], unit: Unit) -> Markup:
    most = max(1.0, 1.2 * max(row.result.wer for row in rows))  # intervals from two speakers can be huge
    dots = [_row(row, row.result.wer, row.result.interval, most) for row in rows]
    return dot_figure(dots, f"{unit.rate_name}s, with their 95 % intervals")


def _differences(rows: Sequence[ComparedRow], comparison: Comparison) -> Markup | None:
    """Draw the differences of students only; that of the teacher would dwarf them."""
    dots = [
        _row(row, difference.value, difference.interval, unit="points")
        for row in rows
        if (difference := row.result.difference) and row.result.role == STUDENT
    ]
    rates = f"{comparison.unit.rate_name.lower()}s"
    label = f"Differences of {rates} from {comparison.baseline} in points, with their 95 % intervals"
    return dot_figure(dots, label, unit="points") if dots else None


def _row(
    row: ComparedRow, value: float, interval: Interval | None, most: float = FARTHEST, unit: str = "%"
) -> DotRow:
    """Make a row of a dot figure, with signs if the unit is points; clip its interval at ``most``."""
    is_signed = unit == "points"
    title = f"{row.style.label}: {100 * value:{'+' if is_signed else ''}.2f} {unit}"
    if interval is None:
        return DotRow(row.style.label, "", [Dot(row.style, value, title)])
    title += f", between {end(interval.low, 1, is_signed)} and {end(interval.high, 1, is_signed)} {unit}"
    ends = max(interval.low, -most), min(interval.high, most)
    return DotRow(row.style.label, "", [Dot(row.style, value, title, ends)])
