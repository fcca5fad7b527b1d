"""Tables and sentences as text, 100 columns wide, plain or in color."""

import io
from collections.abc import Iterable

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

WIDTH = 100


def new_table() -> Table:
    """Return a table without columns, with a rule below its head."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def render_text(parts: Iterable[RenderableType], *, styled: bool) -> str:
    """Render tables and texts below each other, without blanks at the ends of lines.

    Args:
        parts: tables, and texts as rich.text.Text; an empty string is an empty line.
        styled: whether to use colors, for terminals.
    """
    options = {"force_terminal": True} if styled else {"force_terminal": False, "no_color": True}
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, highlight=False, **options)  # type: ignore[arg-type]
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
