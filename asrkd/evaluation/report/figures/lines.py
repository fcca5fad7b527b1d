"""Line charts: values of systems over training steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.report.figures import svg
from asrkd.evaluation.report.figures.svg import Style

WIDTH, HEIGHT = 340.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 8.0, 38.0
HEADROOM = 1.04


@dataclass(frozen=True)
class Series:
    """The values of a system by step."""

    style: Style
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class LineAxes:
    """Labels and scales of the axes of a line chart."""

    label: str  # description of the figure, for screen readers
    x: str
    is_log: bool = False
    is_percent: bool = False  # values are fractions
    most: float | None = None  # larger values are clipped


def line_figure(series: Sequence[Series], axes: LineAxes) -> Markup:
    """Draw ``series``; an empty Markup if no point can be drawn."""
    drawn = [Series(s.style, [(x, y) for x, y in s.points if y > 0 or not axes.is_log]) for s in series]
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return Markup("")
    across, up = _scales(drawn, axes)
    parts: list[str] = [*_grid(across, up, axes)]
    for line in drawn:
        corners = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line.points)
        parts.append(svg.element("polyline", points=corners, class_=f"curve {line.style.css}"))
        x, y = line.points[-1]
        title = f"{line.style.label}: {_value(y, axes)} at {axes.x} {svg.number(x)}"
        parts.append(svg.mark(line.style.shape, across(x), up(y), f"mark {line.style.css}", title))
    return svg.figure(WIDTH, HEIGHT, _description(drawn, axes), parts)


def _scales(series: Sequence[Series], axes: LineAxes) -> tuple[svg.Scale, svg.Scale]:
    xs = [x for line in series for x, _ in line.points]
    ys = [min(y, axes.most or y) for line in series for _, y in line.points]
    low = min(ys) / HEADROOM if axes.is_log else 0.0
    high = max(max(ys) * HEADROOM, low * 1.5 if axes.is_log else 0.01)
    across = svg.Scale(0.0, max(max(xs), 1.0), LEFT, WIDTH - RIGHT)
    return across, svg.Scale(low, high, HEIGHT - BOTTOM, TOP, axes.is_log)


def _grid(across: svg.Scale, up: svg.Scale, axes: LineAxes) -> Sequence[str]:
    parts: list[str] = []
    for tick in up.ticks():
        parts.append(svg.line(LEFT, up(tick), WIDTH - RIGHT, up(tick), "grid"))
        label = svg.number(round(100 * tick, 6)) + " %" if axes.is_percent else svg.number(tick)
        parts.append(svg.text(LEFT - 7, up(tick) + 4, label, "end"))
    for tick in across.ticks(4):
        parts.append(svg.line(across(tick), HEIGHT - BOTTOM, across(tick), HEIGHT - BOTTOM + 4, "axis"))
        parts.append(svg.text(across(tick), HEIGHT - BOTTOM + 18, svg.number(tick), "middle"))
    parts.append(svg.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis"))
    parts.append(svg.text(WIDTH - RIGHT, HEIGHT - 5, axes.x, "end", "faint"))
    return parts


def _value(value: float, axes: LineAxes) -> str:
    return f"{value:.1%}" if axes.is_percent else f"{value:.3g}"


def _description(series: Sequence[Series], axes: LineAxes) -> str:
    ends = ", ".join(f"{line.style.label} {_value(line.points[-1][1], axes)}" for line in series)
    return f"{axes.label}. At the end: {ends}."
