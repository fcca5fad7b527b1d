"""Bar charts: vertical bars for histograms, horizontal stacked bars for parts of a total."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.report.figures import svg

WIDTH, HEIGHT = 340.0, 200.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 20.0, 38.0
GAP = 0.24  # between bars, as a fraction of the distance of bars
ROW = 44.0  # height of a stacked bar and its label


@dataclass(frozen=True)
class Bar:
    """A vertical bar, with marks across it."""

    label: str
    value: float
    title: str
    css: str = "bar"
    marks: tuple[tuple[float, str], ...] = ()  # (value, class of the stylesheet)


@dataclass(frozen=True)
class BarAxes:
    """Labels and range of the axes of vertical bars."""

    label: str  # description of the figure, for screen readers
    x: str
    high: float | None = None  # end of the axis; None: the largest value
    is_percent: bool = False
    level: tuple[float, str] | None = None  # a horizontal line, with its label


@dataclass(frozen=True)
class BarSegment:
    """A segment of a stacked bar."""

    name: str
    value: int
    css: str


def bar_figure(bars: Sequence[Bar], axes: BarAxes) -> Markup:
    """Draw vertical bars over an axis from 0."""
    values = [max(bar.value, *(value for value, _ in bar.marks), 0.0) for bar in bars]
    up = svg.Scale(0.0, axes.high or max(*values, 1e-9) * 1.04, HEIGHT - BOTTOM, TOP)
    place = (WIDTH - LEFT - RIGHT) / len(bars)
    parts: list[str] = []
    for tick in up.ticks(4):
        parts.append(svg.line(LEFT, up(tick), WIDTH - RIGHT, up(tick), "grid"))
        label = f"{svg.number(round(100 * tick, 6))} %" if axes.is_percent else svg.number(tick)
        parts.append(svg.text(LEFT - 7, up(tick) + 4, label, "end"))
    every = -(-len(bars) // 16)  # at most 16 labels fit
    for number, bar in enumerate(bars):
        parts += _bar(bar, LEFT + place * number, place, up, number % every == 0)
    parts.append(svg.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis"))
    parts.append(svg.text(WIDTH - RIGHT, HEIGHT - 5, axes.x, "end", "faint"))
    if axes.level:
        value, name = axes.level
        parts.append(svg.line(LEFT, up(value), WIDTH - RIGHT, up(value), "level"))
        parts.append(svg.text(WIDTH - RIGHT, up(value) - 5, name, "end", "faint"))
    return svg.figure(WIDTH, HEIGHT, axes.label, parts)


def _bar(bar: Bar, x: float, place: float, up: svg.Scale, is_labeled: bool) -> Sequence[str]:
    width = place * (1 - GAP)
    x += place * GAP / 2
    height = max(up.start - up(bar.value), 0.0)
    title = svg.element("title", bar.title)
    parts: list[str] = [
        svg.element("rect", title, x=x, y=up(bar.value), width=width, height=height, rx=1.5, class_=bar.css)
    ]
    parts += [svg.line(x - 3, up(value), x + width + 3, up(value), css) for value, css in bar.marks]
    if is_labeled:
        parts.append(svg.text(x + width / 2, HEIGHT - BOTTOM + 18, bar.label, "middle"))
    return parts


def stacked_figure(rows: Sequence[tuple[str, Sequence[BarSegment]]], label: str) -> Markup:
    """Draw a horizontal stacked bar for each (name, segments), all to one scale."""
    most = max(sum(segment.value for segment in segments) for _, segments in rows)
    across = svg.Scale(0.0, float(max(most, 1)), 1.0, WIDTH - 1)
    parts: list[str] = []
    for number, (name, segments) in enumerate(rows):
        y, before = ROW * number, 0
        total = sum(segment.value for segment in segments)
        parts.append(svg.text(1, y + 13, name, class_="strong"))
        parts.append(svg.text(WIDTH - 1, y + 13, f"{total:,} errors", "end", "faint"))
        for segment in segments:
            parts += _segment(segment, across(before), across(before + segment.value), y + 19)
            before += segment.value
    return svg.figure(WIDTH, ROW * len(rows), label, parts)


def _segment(segment: BarSegment, start: float, end: float, y: float) -> Sequence[str]:
    if not segment.value:
        return []
    title = svg.element("title", f"{segment.name}: {segment.value}")
    width = max(end - start - 1, 0.5)
    parts: list[str] = [
        svg.element("rect", title, x=start, y=y, width=width, height=18.0, rx=2.0, class_=segment.css)
    ]
    if width > 9 * len(str(segment.value)):
        label = str(segment.value)
        parts.append(
            svg.text(start + width / 2, y + 13, label, "middle", f"inside on-{segment.css.split()[-1]}")
        )
    return parts
