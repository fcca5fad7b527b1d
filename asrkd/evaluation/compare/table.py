"""Tables of a comparison, 100 columns wide, plain or in color."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from asrkd.core.text_tables import new_table, render_text
from asrkd.evaluation.compare.comparison import FARTHEST, Comparison, Difference, Share, SystemResult
from asrkd.evaluation.compare.conclusions import is_significant
from asrkd.evaluation.compare.latency_table import has_latency, latency_columns, latency_legend
from asrkd.evaluation.compare.reservations import by_value
from asrkd.evaluation.compare.settings import MISSING, PARAMETERS, UPDATES, Setting
from asrkd.evaluation.compare.systems import TEACHER
from asrkd.evaluation.costs.measuring import Costs
from asrkd.scoring.significance.bootstrap import Interval
from asrkd.scoring.units import Unit

NOTHING = ""
SUMMED_UP = (UPDATES, "optim.lr", "data.max_duration", PARAMETERS)  # equal settings that are named

Column = tuple[str, Callable[[SystemResult], str]]


def render(comparison: Comparison, *, styled: bool) -> str:
    """Render the tables and the sentences below them; ``styled`` is for terminals."""
    return render_text(_parts(comparison), styled=styled)


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    """Yield the tables, each with an empty line below it, and the sentences."""
    of_latency = latency_columns(comparison) if has_latency(comparison) else []
    for columns in (_errors(comparison.unit), SHARES, SIZES, *of_latency):
        if table := _table(comparison.systems, columns):
            yield from (table, "")
    if differing := [setting for setting in comparison.fairness.settings if setting.differs]:
        yield from (_settings(differing, [system.name for system in comparison.systems]), "")
    yield from map(Text, [*_equal(comparison), *comparison.conclusions, "", *_legend(comparison)])


def _table(systems: Sequence[SystemResult], columns: Sequence[Column]) -> Table | None:
    """Build a table without empty columns; None if only the names are left."""
    filled = [(title, cell) for title, cell in columns if any(cell(system) for system in systems)]
    if len(filled) < 2:
        return None
    table = new_table()
    for title, _ in filled:
        table.add_column(title, justify="left" if title == "system" else "right", overflow="fold")
    for system in systems:
        table.add_row(*(Text(cell(system)) for _, cell in filled), style=_style(system))
    return table


def _settings(settings: Sequence[Setting], names: Sequence[str]) -> Table:
    """Build the table of the settings that differ, a row each."""
    table = new_table()
    table.add_column("setting", overflow="fold")
    table.add_column("of the systems", overflow="fold")
    for setting in settings:
        groups = by_value(setting, names).removeprefix(f"{setting.name} ")
        table.add_row(Text(setting.name), Text(groups))
    return table


def _equal(comparison: Comparison) -> list[str]:
    """Sum up the settings that are equal in all systems but the teacher, in a line."""
    names = [system.name for system in comparison.systems if system.role != TEACHER]
    equal = {
        setting.name: next((texts[0] for name in names if (texts := setting.values.get(name))), MISSING)
        for setting in comparison.fairness.settings
        if not setting.differs and setting.is_condition
    }
    if not equal or len(names) < 2:
        return []
    shown = [f"{name} {equal[name]}" for name in SUMMED_UP if name in equal]
    more = f"{len(equal) - len(shown)} more (--out has all)"
    return [f"Equal settings: {', '.join(shown)}{' and ' if shown else ''}{more}."]


def _style(system: SystemResult) -> str:
    if system.difference is None or not is_significant(system.difference):
        return ""
    return "green" if system.difference.value < 0 else "red"


def _of_difference(cell: Callable[[Difference], str]) -> Callable[[SystemResult], str]:
    return lambda system: cell(system.difference) if system.difference else NOTHING


def _or_nothing(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _multiply_adds(costs: Costs) -> str:
    return f"{'>' if costs.uncounted else ''}{costs.multiply_adds_per_second / 1e6:,.1f}"


def _legend(comparison: Comparison) -> list[str]:
    lines = []
    if any(system.difference for system in comparison.systems):
        several = any(len(system.runs) > 1 for system in comparison.systems)
        crossed = f", with several seeds by t, seeds crossed with {comparison.blocks}s" if several else ""
        lines.append(
            f"diff: from {comparison.baseline}, in points; 95 %: bootstrap over {comparison.blocks}s"
            f"{crossed}; z, p: MAPSSWE, p after Holm for all students; better: probability of improvement; "
            f"saved: share of {comparison.baseline}'s errors; gap: share of the gap to the teacher closed."
        )
    if has_latency(comparison):
        lines.append(latency_legend(comparison))
    if comparison.costs_protocol:
        lines.append(comparison.costs_protocol.text())
    return lines


def _percent(interval: Interval | None, digits: int = 1) -> str:
    """Format an interval in percent or points."""
    if interval is None:
        return NOTHING
    return f"[{_in_percent(interval.low, digits)}, {_in_percent(interval.high, digits)}]"


def _in_percent(value: float, digits: int) -> str:
    """Format in percent, without -0; huge values, as from intervals of two or three blocks, as >1000."""
    if abs(value) >= FARTHEST:
        return f"{'<-' if value < 0 else '>'}{100 * FARTHEST:.0f}"
    return f"{round(100 * value, digits) + 0.0:.{digits}f}"


def _probability(p: float) -> str:
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _of_share(
    find: Callable[[SystemResult], Share | None], cell: Callable[[Share], str]
) -> Callable[[SystemResult], str]:
    return lambda system: cell(share) if (share := find(system)) else NOTHING


def _saved(system: SystemResult) -> Share | None:
    return system.saved_share


def _closed(system: SystemResult) -> Share | None:
    return system.gap_share


def _of_costs(cell: Callable[[Costs], str]) -> Callable[[SystemResult], str]:
    return lambda system: cell(system.costs) if system.costs else NOTHING


def _errors(unit: Unit) -> list[Column]:
    return [
        ("system", lambda system: system.name),
        ("seeds", lambda system: str(len(system.runs)) if len(system.runs) > 1 else NOTHING),
        (f"{unit.rate} %", lambda system: f"{100 * system.wer:.2f}"),
        ("±", lambda system: NOTHING if system.wer_std is None else f"{100 * system.wer_std:.2f}"),
        ("95 %", lambda system: _percent(system.interval)),
        ("diff", _of_difference(lambda difference: f"{100 * difference.value:+.2f}")),
        ("95 %", _of_difference(lambda difference: _percent(difference.interval))),
        ("z", _of_difference(lambda difference: f"{difference.mapsswe.z:.2f}")),
        ("p", _of_difference(lambda difference: _probability(difference.mapsswe.p_holm))),
        (
            "better",
            _of_difference(lambda difference: _or_nothing(difference.probability_of_improvement, ".3f")),
        ),
    ]


SHARES: list[Column] = [
    ("system", lambda system: system.name),
    ("saved %", _of_share(_saved, lambda share: _in_percent(share.value, 1))),
    ("95 %", _of_share(_saved, lambda share: _percent(share.interval))),
    ("gap %", _of_share(_closed, lambda share: _in_percent(share.value, 0))),
    ("95 %", _of_share(_closed, lambda share: _percent(share.interval, 0))),
]
SIZES: list[Column] = [
    ("system", lambda system: system.name),
    ("params", lambda system: _or_nothing(system.params, ",")),
    ("bytes", lambda system: _or_nothing(system.weight_bytes, ",")),
    ("train s", lambda system: _or_nothing(system.train_seconds, ".0f")),
    ("Mmult-add/s", _of_costs(_multiply_adds)),
    ("x real time", _of_costs(lambda costs: f"{costs.real_time_factor:.4f}")),
    ("peak MB", _of_costs(lambda costs: f"{costs.peak_memory_bytes / 1e6:.0f}")),
]
