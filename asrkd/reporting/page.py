"""The page: templates, stylesheet and script of this folder, as one file that needs no other."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from asrkd.reporting import svg


def render(**parts: Any) -> str:
    """The whole HTML document; ``parts`` are the names that ``report.html.j2`` uses."""
    environment = Environment(
        loader=PackageLoader("asrkd.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(percent=percent, count=count, mark=_mark)
    return environment.get_template("report.html.j2").render(**parts)


def percent(fraction: float, digits: int = 1) -> str:
    """``12.3 %`` with a space that does not break, and a real minus."""
    return f"{100 * fraction:.{digits}f}\u00a0%".replace("-", "\u2212")


def count(number: int) -> str:
    """``1,234``."""
    return f"{number:,}"


def _mark(look: Any) -> Markup:
    """The mark of a system, for legends and tables; its name stands beside it."""
    drawn = svg.mark(look.shape, 8, 8, "mark", look.label)
    return Markup('<svg class="key {}" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(
        look.css, drawn
    )
