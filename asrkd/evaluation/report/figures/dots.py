"""Dot plots: error rates of systems by group, one row a group and one mark a system."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.report.figures import svg
from asrkd.evaluation.report.figures.svg import Style

WIDTH = 340.0
ROW, TOP, BOTTOM, RIGHT = 24.0, 22.0, 24.0, 48.0
LETTER = 6.6  # approximate width of a letter of a label


@dataclass(frozen=True)
class Dot:
    """The rate of a system in a group, with an optional interval."""

    style: Style
    rate: float  # a fraction
    title: str  # tooltip
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class DotRow:
    """Row of a dot plot: the systems of a group."""

    label: str
    note: str  # at the right: the size of the group
    dots: list[Dot]


def dot_figure(rows: Sequence[DotRow], label: str, note_title: str = "", unit: str = "%") -> Markup:
    """Draw ``rows`` over a common axis with 0, whose ``unit`` is % or points.

    ``note_title`` is the title of the notes.
    """
    left = min(14 + LETTER * max(len(row.label) for row in rows), 120.0)
    height = TOP + ROW * len(rows) + BOTTOM
    ends = [end for row in rows for dot in row.dots for end in (dot.rate, *(dot.interval or ()))]
    low, high = min(0.0, *ends), max(0.0, *ends)
    right = WIDTH - (RIGHT if any(row.note for row in rows) else 14.0)
    spare = 0.03 * (high - low)
    across = svg.Scale(low - spare * (low < 0), max(high + spare * (high > 0), low + 0.01), left, right)
    parts: list[str] = [*_axis(across, height, unit)]
    if note_title:
        parts.append(svg.text(WIDTH - 2, TOP - 9, note_title, "end", "faint"))
    for number, row in enumerate(rows):
        parts += _row(row, TOP + ROW * (number + 0.5), across)
    return svg.figure(WIDTH, height, label, parts)


def _axis(across: svg.Scale, height: float, unit: str) -> Sequence[str]:
    parts: list[str] = []
    for tick in across.ticks(4):
        css = "zero" if tick == 0 and across.low < 0 else "grid"
        parts.append(svg.line(across(tick), TOP, across(tick), height - BOTTOM, css))
        label = svg.number(round(100 * tick, 6)).replace("-", "\u2212")
        label += " %" if unit == "%" else ""
        parts.append(svg.text(across(tick), height - BOTTOM + 16, label, "middle"))
    if unit != "%":  # too long for every tick
        parts.append(svg.text(across.end, TOP - 9, unit, "end", "faint"))
    return parts


def _row(row: DotRow, y: float, across: svg.Scale) -> Sequence[str]:
    parts: list[str] = [svg.line(across.start, y, across.end, y, "rule")]
    most = int((across.start - 14) / LETTER)
    short = row.label if len(row.label) <= most + 1 else row.label[: most - 1] + "…"
    parts.append(svg.text(across.start - 9, y + 4, short, "end"))
    parts.append(svg.text(WIDTH - 2, y + 4, row.note, "end", "faint"))
    for dot in row.dots:
        if dot.interval:
            low, high = dot.interval
            parts.append(svg.line(across(low), y, across(high), y, f"whisker {dot.style.css}"))
    for dot in row.dots:
        parts.append(svg.mark(dot.style.shape, across(dot.rate), y, f"mark {dot.style.css}", dot.title))
    return parts
