"""Training curves of systems, from their logs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from markupsafe import Markup

from asrkd.core.artifacts import METRICS
from asrkd.evaluation.report.figures.lines import Axes, Series, line_figure
from asrkd.evaluation.report.figures.styles import look
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.scoring.units import WORD, Unit, find_unit
from asrkd.training.metrics import read_metrics

MOST_POINTS = 50  # of a curve; where there are more, neighbors are averaged
MOST_WER = 1.1  # drawn; before it has learned, a system can say anything


@dataclass(frozen=True)
class Curves:
    """Three figures; empty where no log has what they show."""

    training_loss: Markup
    held_out_loss: Markup
    wer: Markup
    rate_name: str  # of ``wer``: Word error rate; Error rate where the systems' units differ
    units: str  # which these are, where they are not all the word
    without_log: list[str]  # labels of systems


def curves(systems: Sequence[ReportedSystem]) -> Curves:
    """Draw the logs of ``systems``."""
    logs = [(system, _log(system)) for system in systems]

    def series(kind: str, name: str) -> list[Series]:
        return [Series(look(system), thinned(_points(log, kind, name))) for system, log in logs]

    by_unit = _units(logs)
    rate_name = next(iter(by_unit)).rate_name if len(by_unit) == 1 else "Error rate"
    told = "; ".join(f"{unit.rate} of {', '.join(labels)}" for unit, labels in by_unit.items())
    return Curves(
        line_figure(series("train", "loss"), Axes("Training loss by step", "step", is_log=True)),
        line_figure(series("validation", "loss"), Axes("Loss on held-out cuts by step", "step", is_log=True)),
        line_figure(
            series("validation", "wer"),
            Axes(f"{rate_name} on held-out cuts by step", "step", is_percent=True, most=MOST_WER),
        ),
        rate_name,
        "" if by_unit.keys() <= {WORD} else told,
        [system.label for system, log in logs if not log],
    )


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most :data:`MOST_POINTS` points, each the mean of its neighbors; the last keeps its step."""
    size = -(-len(points) // MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], mean(value for _, value in group)) for group in groups]


def _units(logs: Sequence[tuple[ReportedSystem, list[dict[str, Any]]]]) -> dict[Unit, list[str]]:
    """What held-out errors were counted in, with the labels of the systems; the word without any."""
    found: dict[Unit, list[str]] = {}
    for system, log in logs:
        names = [one.get("unit", WORD.name) for one in log if one["kind"] == "validation" and "wer" in one]
        if names:
            found.setdefault(find_unit(names[-1]), []).append(system.label)
    return found or {WORD: []}


def _log(system: ReportedSystem) -> list[dict[str, Any]]:
    return read_metrics(system.folder / METRICS) if system.folder else []


def _points(log: Sequence[dict[str, Any]], kind: str, name: str) -> list[tuple[float, float]]:
    """(step, value) of the records of a kind that have a finite number under the name."""
    found = [(record["step"], record.get(name)) for record in log if record["kind"] == kind]
    return [
        (step, value) for step, value in found if isinstance(value, (int, float)) and math.isfinite(value)
    ]
