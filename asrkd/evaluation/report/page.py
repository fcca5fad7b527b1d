"""HTML page of the report: templates, stylesheet and script as one self-contained file, and its filters."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from asrkd.evaluation.compare.comparison import FARTHEST
from asrkd.evaluation.compare.delays import milliseconds
from asrkd.evaluation.report.figures import svg


def render(**parts: Any) -> str:
    """Render the HTML document; ``parts`` are the variables of ``report.html.j2``."""
    environment = Environment(
        loader=PackageLoader("asrkd.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=percent, points=points, end=end, minus=minus, count=count, p=p_value, ms=ms, mark=_mark
    )
    return environment.get_template("report.html.j2").render(**parts)


def percent(fraction: float, digits: int = 1) -> str:
    """Format as ``12.3 %``, with a non-breaking space and a minus sign."""
    return f"{100 * fraction:.{digits}f}\u00a0%".replace("-", "\u2212")


def points(fraction: float, digits: int = 2, signed: bool = False) -> str:
    """Format in percentage points without a unit: ``12.34``, or ``+12.34`` for a difference."""
    return f"{100 * fraction:{'+' if signed else ''}.{digits}f}".replace("-", "\u2212")


def end(fraction: float, digits: int = 2, signed: bool = False) -> str:
    """Format the end of an interval in points; ``> 1000`` beyond, which two or three speakers can give."""
    if abs(fraction) < FARTHEST:
        return points(fraction, digits, signed)
    return f"{'< -' if fraction < 0 else '> '}{points(FARTHEST, 0)}".replace("-", "\u2212")


def minus(sentence: str) -> str:
    """Replace hyphens before numbers with minus signs."""
    return re.sub(r"-(?=\d)(?<!\w-)", "\u2212", sentence)


def p_value(p: float) -> str:
    """Format a p value: ``0.012``, or ``< 0.001``."""
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"


def ms(seconds: float, signed: bool = False) -> str:
    """Format seconds in milliseconds without a unit, with a minus sign."""
    return milliseconds(seconds, signed=signed).replace("-", "\u2212")


def count(number: int) -> str:
    """Format an integer: ``1,234``."""
    return f"{number:,}"


def _mark(style: svg.Style) -> Markup:
    """Draw the mark of a system for legends and tables, beside its name."""
    drawn = svg.mark(style.shape, 8, 8, "mark", style.label)
    return Markup('<svg class="key {}" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(
        style.css, drawn
    )
