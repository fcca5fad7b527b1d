"""Table of a sweep: a row for each setting, its values as columns, best first; plain or in color."""

from collections.abc import Callable, Sequence

from rich.text import Text

from asrkd.commands.sweeping.axes import short_names
from asrkd.commands.sweeping.measures import PERPLEXITY
from asrkd.commands.sweeping.results import Results, Row
from asrkd.core.text_tables import new_table, render_text

Column = tuple[str, Callable[[Row], str]]


def render(results: Results, *, styled: bool) -> str:
    """Render the table and the notes below it; ``styled`` is for terminals."""
    columns = [column for column in _columns(results) if any(map(column[1], results.rows))]
    table = new_table()
    for title, _ in columns:
        table.add_column(title, justify="left" if title in ("", "state") else "right", overflow="fold")
    for row in results.rows:
        style = "green" if row is results.chosen else ""
        table.add_row(*(Text(cell(row)) for _, cell in columns), style=style)
    return render_text([table, *map(Text, _sentences(results))], styled=styled)


def _columns(results: Results) -> list[Column]:
    names = short_names([axis.key for axis in results.axes])
    is_perplexity = results.measure == PERPLEXITY
    title, factor = ("dev perplexity", 1) if is_perplexity else (f"dev {results.unit.rate} %", 100)
    sets = list(dict.fromkeys(name for row in results.rows for name in row.quality.by_set))
    return [
        ("", lambda row: "*" if row is results.chosen else ""),
        *((names[axis.key], _value_of(axis.key)) for axis in results.axes),
        ("seeds", lambda row: str(len(row.runs)) if len(row.runs) > 1 else ""),
        (title, lambda row: _number(row.quality.value, factor)),
        ("±", lambda row: _number(row.quality.std, factor)),
        *((name, _rate_of(name)) for name in sets),
        ("dev loss", lambda row: "" if row.quality.loss is None else f"{row.quality.loss:.3f}"),
        ("params", lambda row: "" if row.params is None else f"{row.params:,}"),
        ("steps", lambda row: str(row.step)),
        ("state", lambda row: "" if row.state == "complete" else row.state),
    ]


def _value_of(key: str) -> Callable[[Row], str]:
    return lambda row: row.setting.values[key].text


def _rate_of(name: str) -> Callable[[Row], str]:
    return lambda row: _number(row.quality.by_set.get(name), 100)


def _number(value: float | None, factor: int) -> str:
    return "" if value is None else f"{factor * value:.2f}"


def _sentences(results: Results) -> Sequence[str]:
    lines = []
    if results.chosen is not None:
        lines.append(f"* chosen: {results.chosen.setting.name}")
    lines += results.notes
    lines += [f"{row.setting.name}: {row.state}: {reason}" for row in results.rows for reason in row.reasons]
    return ["", *lines] if lines else []
