"""Figure of a sweep: a quality by the values of each varied key, a panel a key.

The figure is a standalone SVG file with its own styles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.report.figures import svg

WIDTH, HEIGHT = 300.0, 230.0  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 50.0, 16.0, 34.0, 30.0
IN_A_ROW = 3
LOG_FROM = 5.0  # ratio of the largest to the smallest value from which the axis is logarithmic
LONGEST = 12  # letters of a value below the axis
STYLE = """
svg { font: 12px sans-serif; background: white } .grid { stroke: #ddd } .axis { stroke: #333 }
.best { fill: none; stroke: #1f6fb4; stroke-width: 2 } .mark { fill: white; stroke: #1f6fb4 }
.mark.whole { fill: #1f6fb4; fill-opacity: 0.5 } .mark.chosen { fill: #c2571a; stroke: #c2571a }
.strong { font-weight: bold }
"""


@dataclass(frozen=True)
class Point:
    """A setting in a panel."""

    place: int  # number of its value
    quality: float
    title: str  # tooltip
    css: str  # whole, dropped or chosen


@dataclass(frozen=True)
class Panel:
    """A varied key: its values in their order on the axis, and a point for each setting."""

    key: str
    values: Sequence[str]
    points: Sequence[Point]


def sweep_figure(panels: Sequence[Panel], label: str, *, is_percent: bool) -> Markup:
    """Draw panels with a common vertical axis.

    Args:
        panels: at least one, with at least one point.
        label: title of the quality.
        is_percent: whether qualities are fractions.
    """
    qualities = [point.quality for panel in panels for point in panel.points]
    low, high = min(qualities), max(qualities)
    is_log = low > 0 and high / low >= LOG_FROM
    spare = 1.1 if is_log else 1.0
    low, high = (low / spare, high * spare) if is_log else (max(low - (high - low) * 0.1, 0.0), high * 1.02)
    up = svg.Scale(low, max(high, low + 1e-6), HEIGHT - BOTTOM, TOP, is_log)
    parts: list[Markup] = [svg.element("style", Markup(STYLE))]
    for number, panel in enumerate(panels):
        row, column = divmod(number, IN_A_ROW)
        drawn = _panel(panel, up, label, is_percent)
        parts.append(svg.element("g", *drawn, transform=f"translate({column * WIDTH:g} {row * HEIGHT:g})"))
    rows = -(-len(panels) // IN_A_ROW)
    return svg.figure(WIDTH * min(len(panels), IN_A_ROW), HEIGHT * rows, f"{label} by varied key", parts)


def _panel(panel: Panel, up: svg.Scale, label: str, is_percent: bool) -> list[Markup]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [svg.text(LEFT, 14, panel.key, class_="strong"), svg.text(right, 14, label, "end")]
    for tick in up.ticks():
        shown = f"{svg.number(round(100 * tick, 6))} %" if is_percent else svg.number(tick)
        parts += [
            svg.line(LEFT, up(tick), right, up(tick), "grid"),
            svg.text(LEFT - 6, up(tick) + 4, shown, "end"),
        ]
    parts.append(svg.line(LEFT, bottom, right, bottom, "axis"))
    places = [
        LEFT + (right - LEFT) * (number + 0.5) / len(panel.values) for number in range(len(panel.values))
    ]
    for x, value in zip(places, panel.values, strict=True):
        short = value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
        parts.append(
            svg.element("text", svg.element("title", value), short, x=x, y=bottom + 18, text_anchor="middle")
        )
    return [*parts, *_points(panel, places, up)]


def _points(panel: Panel, places: Sequence[float], up: svg.Scale) -> list[Markup]:
    """Draw the line of the best whole setting of each value, and the settings, the chosen one on top."""
    best = {
        place: min(p.quality for p in panel.points if p.place == place and p.css != "dropped")
        for place in sorted({point.place for point in panel.points if point.css != "dropped"})
    }
    corners = " ".join(f"{places[place]:.1f},{up(quality):.1f}" for place, quality in best.items())
    parts = [svg.element("polyline", points=corners, class_="best")]
    for point in sorted(panel.points, key=lambda point: point.css == "chosen"):
        title = svg.element("title", point.title)
        x, y = places[point.place], up(point.quality)
        parts.append(svg.element("circle", title, cx=x, cy=y, r=4.5, class_=f"mark {point.css}"))
    return parts
