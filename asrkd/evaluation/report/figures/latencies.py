"""WER-latency plot: error rates of systems over the delays of their words, with both intervals.

The best systems are at the lower left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.report.figures import svg
from asrkd.evaluation.report.figures.svg import Style

WIDTH, HEIGHT = 340.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 14.0, 16.0, 40.0
SPARE = 0.12  # share of the range that is left free at each side


@dataclass(frozen=True)
class LatencyPoint:
    """A system: its error rate, a fraction, and its mean delay in seconds, with their intervals if known."""

    style: Style
    rate: float
    delay_s: float
    rate_interval: tuple[float, float] | None = None
    delay_interval: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """Tooltip: the name with both numbers."""
        return f"{self.style.label}: {100 * self.rate:.2f} % at {1000 * self.delay_s:.0f} ms"


def latency_figure(points: Sequence[LatencyPoint], label: str, delay_name: str) -> Markup:
    """Draw systems by mean delay in milliseconds, across, and by error rate in percent, up.

    Args:
        points: at least one.
        label: description of the figure.
        delay_name: title of the axis of delays.
    """
    across = _scale([point.delay_s for point in points], LEFT, WIDTH - RIGHT, least=0.02)
    up = _scale([point.rate for point in points], HEIGHT - BOTTOM, TOP, least=0.01)
    parts = _axes(across, up, delay_name)
    for point in points:
        parts += _whiskers(point, across, up)
    for point in points:
        x, y = across(point.delay_s), up(point.rate)
        parts.append(svg.mark(point.style.shape, x, y, f"mark {point.style.css}", point.title))
    return svg.figure(WIDTH, HEIGHT, label, parts)


def _scale(values: Sequence[float], start: float, end: float, least: float) -> svg.Scale:
    """Return a scale around values, at least so wide; rates and times above 0 stay above 0."""
    low, high = min(values), max(values)
    spare = max(SPARE * (high - low), (least - (high - low)) / 2, 0.0)
    return svg.Scale(max(low - spare, 0.0) if low >= 0 else low - spare, high + spare, start, end)


def _axes(across: svg.Scale, up: svg.Scale, delay_name: str) -> list[Markup]:
    parts: list[Markup] = []
    for tick in up.ticks(4):
        parts.append(svg.line(LEFT, up(tick), WIDTH - RIGHT, up(tick), "grid"))
        parts.append(svg.text(LEFT - 6, up(tick) + 4, f"{svg.number(round(100 * tick, 6))} %", "end"))
    for tick in across.ticks(4):
        parts.append(svg.line(across(tick), TOP, across(tick), HEIGHT - BOTTOM, "grid"))
        shown = svg.number(round(1000 * tick, 6)).replace("-", "\u2212")
        parts.append(svg.text(across(tick), HEIGHT - BOTTOM + 16, shown, "middle"))
    parts.append(svg.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis"))
    parts.append(svg.text(WIDTH - RIGHT, HEIGHT - 8, f"{delay_name}, ms", "end", "faint"))
    return parts


def _whiskers(point: LatencyPoint, across: svg.Scale, up: svg.Scale) -> list[Markup]:
    """Draw both intervals, cut off at the edges of the plot."""
    parts, css = [], f"whisker {point.style.css}"
    if point.delay_interval:
        low, high = (across(end) for end in point.delay_interval)
        parts.append(svg.line(low, up(point.rate), high, up(point.rate), css))
    if point.rate_interval:
        low, high = (up(end) for end in point.rate_interval)
        parts.append(svg.line(across(point.delay_s), low, across(point.delay_s), high, css))
    return parts
