"""Rate-distortion chart of quantizers (`asrkd quantizer plot`): error by bytes per frame on log axes.

The chart is a standalone SVG file with its own styles, drawn by the code of the report's figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.report.figures import svg

WIDTH, HEIGHT = 460.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 12.0, 44.0
COLORS = ("#1f6fb4", "#c2571a", "#2e8540", "#7b3fa0", "#8a6d00", "#b03060")
STYLE = """
svg { font: 12px sans-serif; background: white } .grid { stroke: #ddd } .axis { stroke: #333 }
.curve { fill: none; stroke-width: 2 } .bound { fill: none; stroke-dasharray: 5 4 }
"""


@dataclass(frozen=True)
class RateCurve:
    """Quantizers of the same embeddings."""

    name: str
    errors: list[tuple[float, float]]  # (bytes per frame, relative error)
    bounds: list[tuple[float, float]]  # likewise, of the best code for a Gaussian with the same covariance


def rate_figure(curves: Sequence[RateCurve]) -> Markup:
    """Draw curves, with dashed bounds of the same color, clipped to the range of the quantizers."""
    sizes = [size for curve in curves for size, _ in curve.errors]
    low, high = min(sizes) / 1.2, max(sizes) * 1.2
    clipped = [
        RateCurve(c.name, sorted(c.errors), [(x, y) for x, y in c.bounds if low <= x <= high]) for c in curves
    ]
    values = [y for curve in clipped for _, y in curve.errors + curve.bounds if y > 0]
    across = svg.Scale(low, high, LEFT, WIDTH - RIGHT, is_log=True)
    up = svg.Scale(min(values, default=0.1) / 1.1, max(values, default=1.0) * 1.1, HEIGHT - BOTTOM, TOP, True)
    parts = [svg.element("style", Markup(STYLE)), *_grid(across, up, sorted(set(sizes)))]
    for number, curve in enumerate(clipped):
        parts += _draw(curve, across, up, number)
    label = (
        "Relative squared error of held-out frames by bytes per frame; dashed: Shannon's bound of a Gaussian"
    )
    return svg.figure(WIDTH, HEIGHT, label, parts)


def _grid(across: svg.Scale, up: svg.Scale, sizes: Sequence[float]) -> list[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [svg.line(LEFT, bottom, right, bottom, "axis")]
    for tick in up.ticks():
        parts.append(svg.line(LEFT, up(tick), right, up(tick), "grid"))
        parts.append(svg.text(LEFT - 6, up(tick) + 4, svg.number(tick), "end"))
    for size in sizes:
        parts.append(svg.line(across(size), bottom, across(size), bottom + 4, "axis"))
        parts.append(svg.text(across(size), bottom + 18, svg.number(round(size, 2)), "middle"))
    parts.append(svg.text(right, HEIGHT - 8, "bytes per frame", "end"))
    parts.append(svg.text(LEFT + 4, TOP + 10, "relative error; dashed: bound of a Gaussian"))
    return parts


def _draw(curve: RateCurve, across: svg.Scale, up: svg.Scale, number: int) -> list[Markup]:
    color = COLORS[number % len(COLORS)]
    parts = []
    for points, css in ((curve.errors, "curve"), (curve.bounds, "bound")):
        corners = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
        parts.append(svg.element("polyline", points=corners, class_=css, stroke=color))
    for x, y in curve.errors:
        title = svg.element("title", f"{curve.name}: {y:.3f} at {x:g} bytes")
        parts.append(svg.element("circle", title, cx=across(x), cy=up(y), r=4.0, fill=color))
    legend = TOP + 28 + 16 * number
    parts.append(svg.element("text", curve.name, x=LEFT + 4, y=legend, fill=color))
    return parts
