"""SVG markup: elements with escaped text, marks of systems, and scales from numbers to coordinates.

Colors and line styles are classes of the page's stylesheet, so that figures follow light and dark mode. Sizes
are units of the view box, which the page shows at about a pixel each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | float | int


@dataclass(frozen=True)
class Style:
    """Color and mark of a system in figures and tables; either distinguishes systems without the other."""

    label: str
    css: str  # class of the stylesheet that sets --c, the color
    shape: int  # number of the shape in :func:`mark`


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """Write ``<tag ...>children</tag>``; ``text_anchor`` stands for text-anchor, ``class_`` for class."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for name, value in attributes.items()
    )
    inside = "".join(str(escape(child)) for child in children)
    return Markup(f"<{tag}{written}>{inside}</{tag}>")


def text(x: float, y: float, content: str, anchor: str = "start", class_: str = "") -> Markup:
    """Write a line of text; ``anchor`` is start, middle or end."""
    more = {"class_": class_} if class_ else {}
    return element("text", content, x=x, y=y, text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Write a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def figure(width: float, height: float, label: str, children: Sequence[str]) -> Markup:
    """Write the whole drawing; ``label`` describes it for screen readers."""
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        role="img",
        aria_label=label,
    )


def mark(shape: int, x: float, y: float, class_: str, title: str) -> Markup:
    """Write a symbol of about 9 units with a tooltip: circle, square, triangle, diamond, or triangle down."""
    r = 4.6
    named = element("title", title)
    points = {
        1: [(-r, -r), (r, -r), (r, r), (-r, r)],
        2: [(0, -1.3 * r), (1.2 * r, 0.9 * r), (-1.2 * r, 0.9 * r)],
        3: [(0, -1.35 * r), (1.35 * r, 0), (0, 1.35 * r), (-1.35 * r, 0)],
        4: [(0, 1.3 * r), (1.2 * r, -0.9 * r), (-1.2 * r, -0.9 * r)],
    }.get(shape)
    if points is None:
        return element("circle", named, cx=x, cy=y, r=r, class_=class_)
    corners = " ".join(f"{_short(x + dx)},{_short(y + dy)}" for dx, dy in points)
    return element("polygon", named, points=corners, class_=class_)


@dataclass(frozen=True)
class Scale:
    """Scale from numbers in [``low``, ``high``] to coordinates from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Map a number to a coordinate; numbers outside of the range are clipped."""
        value = min(max(value, self.low), self.high)
        low, high = self._on(self.low), self._on(self.high)
        share = (self._on(value) - low) / (high - low) if high > low else 0.0
        return self.start + share * (self.end - self.start)

    def _on(self, value: float) -> float:
        return math.log(value) if self.is_log else value

    def ticks(self, about: int = 5) -> list[float]:
        """Choose round numbers within the range."""
        return log_ticks(self.low, self.high) if self.is_log else ticks(self.low, self.high, about)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Choose about so many multiples of 1, 2, 2.5 or 5 times a power of ten in [``low``, ``high``]."""
    if not high > low:
        return [low]
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Choose powers of ten in [``low``, ``high``], both above 0; 2 and 5 times them too if there is room."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [t for p in powers for f in factors if low <= (t := round(f * 10.0**p, 12)) <= high]


def number(value: float) -> str:
    """Format a number briefly: 20000 as 20k, 0.5 as 0.5."""
    if abs(value) >= 1000 and value % 100 == 0:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _short(value: Attribute) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
