"""The comparison at the head of a page: what `asrkd compare` found, with figures of its intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.evaluation.compare.comparison import FARTHEST, Comparison, SystemResult, read_comparison
from asrkd.evaluation.compare.conclusions import is_shown
from asrkd.evaluation.compare.systems import STUDENT
from asrkd.evaluation.report.figures.dots import Dot, DotRow, dot_figure
from asrkd.evaluation.report.figures.styles import Look, look
from asrkd.evaluation.report.page import end
from asrkd.evaluation.report.systems import ReportedSystem, first_seeds
from asrkd.scoring.counts import Counts, corpus_counts
from asrkd.scoring.significance.bootstrap import Interval
from asrkd.scoring.units import Unit


@dataclass(frozen=True)
class ComparedRow:
    """A system's line."""

    look: Look
    result: SystemResult
    counts: Counts  # summed over its seeds
    is_best: bool  # of the students
    is_shown: bool  # to differ from the baseline, beyond noise


@dataclass(frozen=True)
class ComparisonSection:
    """The table, its figures, and who is spoken of first."""

    comparison: Comparison
    rows: list[ComparedRow]
    best: ComparedRow | None  # student
    teacher: ComparedRow | None
    baseline: ComparedRow | None
    rates: Markup
    differences: Markup | None


def read_matching(path: Path, systems: Sequence[ReportedSystem]) -> Comparison:
    """Read what `asrkd compare --out` wrote of these very systems.

    Raises:
        AsrkdError: it is of others, in other roles, or of other scores of theirs.
    """
    found = read_comparison(path)
    there = [(one.name, one.role, [(run.seed, run.errors) for run in one.runs]) for one in found.systems]
    here = [
        (name, role, [(one.seed, one.score.counts.errors) for one in systems if one.name == name])
        for name, role in dict.fromkeys((system.name, system.role) for system in systems)
    ]
    score = systems[0].score
    if there != here or (found.references_sha256, found.unit) != (score.references_sha256, score.unit):
        names = ", ".join(f"{name} as {role}" if name != role else name for name, role, _ in there)
        maker = command("asrkd", "compare", "MODEL", "...", "--out", path)
        raise AsrkdError(
            f"{path}: is of other systems, roles or scores ({names}); make it anew of these, in their order, "
            f"with the same --teacher and --baseline: {maker}"
        )
    return found


def comparison_shown(comparison: Comparison, systems: Sequence[ReportedSystem]) -> ComparisonSection:
    """Draw a comparison of ``systems``."""
    students = [result for result in comparison.systems if result.role == STUDENT]
    best = min(students, key=lambda result: result.wer, default=None)
    rows = [
        ComparedRow(
            look=_look(systems, result.name),
            result=result,
            counts=corpus_counts(one.score.counts for one in systems if one.name == result.name),
            is_best=result is best,
            is_shown=result.difference is not None and is_shown(result.difference),
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


def _look(systems: Sequence[ReportedSystem], name: str) -> Look:
    """That of the first seed, called by the name."""
    (first,) = (system for system in first_seeds(systems) if system.name == name)
    own = look(first)
    return Look(name, own.css, own.shape)


def _rates(rows: Sequence[ComparedRow], unit: Unit) -> Markup:
    most = max(1.0, 1.2 * max(row.result.wer for row in rows))  # of two speakers an end may be astronomical
    drawn = [_row(row, row.result.wer, row.result.interval, "", most) for row in rows]
    return dot_figure(drawn, f"{unit.rate_name}s, with their 95 % intervals")


def _differences(rows: Sequence[ComparedRow], comparison: Comparison) -> Markup | None:
    """Of the students; the teacher's is so large that theirs could not be seen beside it."""
    drawn = [
        _row(row, found.value, found.interval, "+")
        for row in rows
        if (found := row.result.difference) and row.result.role == STUDENT
    ]
    rates = f"{comparison.unit.rate_name.lower()}s"
    label = f"Differences of {rates} from {comparison.baseline}, with their 95 % intervals"
    return dot_figure(drawn, label) if drawn else None


def _row(
    row: ComparedRow, value: float, interval: Interval | None, sign: str, most: float = FARTHEST
) -> DotRow:
    """An interval is drawn as far as ``most`` to either side."""
    title = f"{row.look.label}: {100 * value:{sign}.2f} %"
    if interval is None:
        return DotRow(row.look.label, "", [Dot(row.look, value, title)])
    title += f", between {end(interval.low, 1, sign == '+')} and {end(interval.high, 1, sign == '+')} %"
    ends = max(interval.low, -most), min(interval.high, most)
    return DotRow(row.look.label, "", [Dot(row.look, value, title, ends)])
