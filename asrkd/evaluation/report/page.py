"""The page: templates, stylesheet and script of this folder, as one file that needs no other."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from asrkd.evaluation.compare.comparison import FARTHEST
from asrkd.evaluation.report.figures import svg


def render(**parts: Any) -> str:
    """The whole HTML document; ``parts`` are the names that ``report.html.j2`` uses."""
    environment = Environment(
        loader=PackageLoader("asrkd.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=percent, points=points, end=end, minus=minus, count=count, p=p_value, mark=_mark
    )
    return environment.get_template("report.html.j2").render(**parts)


def percent(fraction: float, digits: int = 1) -> str:
    """``12.3 %`` with a space that does not break, and a real minus."""
    return f"{100 * fraction:.{digits}f}\u00a0%".replace("-", "\u2212")


def points(fraction: float, digits: int = 2, signed: bool = False) -> str:
    """Hundredths, without their sign: ``12.34``, or ``+12.34`` where they are a difference."""
    return f"{100 * fraction:{'+' if signed else ''}.{digits}f}".replace("-", "\u2212")


def end(fraction: float, digits: int = 2, signed: bool = False) -> str:
    """Points of an interval's end, which may be astronomical from two or three speakers: ``> 1000`` then."""
    if abs(fraction) < FARTHEST:
        return points(fraction, digits, signed)
    return f"{'< -' if fraction < 0 else '> '}{points(FARTHEST, 0)}".replace("-", "\u2212")


def minus(sentence: str) -> str:
    """The sentence with a real minus before its numbers."""
    return re.sub(r"-(?=\d)(?<!\w-)", "\u2212", sentence)


def p_value(p: float) -> str:
    """``0.012``, or ``< 0.001``."""
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"


def count(number: int) -> str:
    """``1,234``."""
    return f"{number:,}"


def _mark(look: Any) -> Markup:
    """The mark of a system, for legends and tables; its name stands beside it."""
    drawn = svg.mark(look.shape, 8, 8, "mark", look.label)
    return Markup('<svg class="key {}" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(
        look.css, drawn
    )
