"""Training curves of systems: losses and error rates by step, from their logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from markupsafe import Markup

from asrkd.core.artifacts import METRICS
from asrkd.evaluation.report.figures.lines import LineAxes, Series, line_figure
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.scoring.units import WORD, Unit, find_unit
from asrkd.training.metrics import curve, read_metrics

MOST_POINTS = 50  # largest number of points of a curve; above it neighbors are averaged
MOST_WER = 1.1  # largest error rate that is drawn, since error rates of untrained systems have no limit


@dataclass(frozen=True)
class Curves:
    """Three figures; empty if no log has their values."""

    training_loss: Markup
    dev_loss: Markup
    wer: Markup
    rate_name: str  # title of ``wer``: Word error rate; Error rate if the units of systems differ
    units: str  # description of the units if they are not all the word
    without_log: list[str]  # labels of systems that have no log


def curves(systems: Sequence[ReportedSystem]) -> Curves:
    """Draw the training curves of ``systems``."""
    logs = [(system, _log(system)) for system in systems]

    def series(kind: str, name: str) -> list[Series]:
        return [Series(system.style, thinned(curve(log, kind, name))) for system, log in logs]

    by_unit = _units(logs)
    rate_name = next(iter(by_unit)).rate_name if len(by_unit) == 1 else "Error rate"
    units = "; ".join(f"{unit.rate} of {', '.join(labels)}" for unit, labels in by_unit.items())
    return Curves(
        line_figure(series("train", "loss"), LineAxes("Training loss by step", "step", is_log=True)),
        line_figure(series("validation", "loss"), LineAxes("Loss on dev cuts by step", "step", is_log=True)),
        line_figure(
            series("validation", "wer"),
            LineAxes(f"{rate_name} on dev cuts by step", "step", is_percent=True, most=MOST_WER),
        ),
        rate_name,
        "" if by_unit.keys() <= {WORD} else units,
        [system.label for system, log in logs if not log],
    )


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Reduce to at most :data:`MOST_POINTS` points, each the mean of a group at its last step."""
    size = -(-len(points) // MOST_POINTS)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], mean(value for _, value in group)) for group in groups]


def _units(logs: Sequence[tuple[ReportedSystem, list[dict[str, Any]]]]) -> dict[Unit, list[str]]:
    """Group the labels of systems by the unit of their validation errors; the word if there are none."""
    by_unit: dict[Unit, list[str]] = {}
    for system, log in logs:
        names = [row.get("unit", WORD.name) for row in log if row["kind"] == "validation" and "wer" in row]
        if names:
            by_unit.setdefault(find_unit(names[-1]), []).append(system.label)
    return by_unit or {WORD: []}


def _log(system: ReportedSystem) -> list[dict[str, Any]]:
    return read_metrics(system.folder / METRICS) if system.folder else []
