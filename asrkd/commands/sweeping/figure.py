"""Figure of a sweep's results: dev error rate or perplexity by each varied key."""

from collections.abc import Sequence

from markupsafe import Markup

from asrkd.commands.sweeping.axes import Axis, Value, number_of
from asrkd.commands.sweeping.measures import PERPLEXITY
from asrkd.commands.sweeping.results import Results, Row
from asrkd.evaluation.report.figures.sweeps import Panel, Point, sweep_figure


def draw(results: Results) -> Markup | None:
    """Draw a panel for each varied key; None if only seeds vary, or nothing was measured."""
    rows = [row for row in results.rows if row.quality.value is not None]
    if not rows or not results.axes:
        return None
    is_perplexity = results.measure == PERPLEXITY
    label = "dev perplexity" if is_perplexity else f"dev {results.unit.rate}"
    panels = [_panel(axis, rows, results.chosen) for axis in results.axes]
    return sweep_figure(panels, label, is_percent=not is_perplexity)


def _panel(axis: Axis, rows: Sequence[Row], chosen: Row | None) -> Panel:
    values = _in_order(axis.values)
    places = {value: place for place, value in enumerate(value.label for value in values)}
    points = []
    for row in rows:
        quality = row.quality.value or 0.0
        css = "chosen" if row is chosen else "whole" if row.state == "complete" else "dropped"
        state = "" if row.state == "complete" else f", {row.state} at step {row.step}"
        title = f"{row.setting.name}: {quality:.4g}{state}"
        points.append(Point(places[row.setting.values[axis.key].label], quality, title, css))
    return Panel(axis.key, [value.text for value in values], points)


def _in_order(values: Sequence[Value]) -> Sequence[Value]:
    """Return numbers in ascending order, other values in that of the command line."""
    numbers = [number_of(value.value) for value in values]
    if None in numbers:
        return values
    return [value for _, value in sorted(zip(numbers, values, strict=True), key=lambda pair: pair[0] or 0.0)]
