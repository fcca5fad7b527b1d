"""Training curves of systems, from their logs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from markupsafe import Markup

from asrkd.reporting.line_figure import Axes, Series, line_figure
from asrkd.reporting.looks import look
from asrkd.reporting.systems import System
from asrkd.training.metrics import read_metrics

MOST_POINTS = 50  # of a curve; where there are more, neighbours are averaged
MOST_WER = 1.1  # drawn; before it has learned, a system can say anything


@dataclass(frozen=True)
class Curves:
    """Three figures; empty where no log has what they show."""

    training_loss: Markup
    held_out_loss: Markup
    wer: Markup
    without_log: list[str]  # labels of systems


def curves(systems: Sequence[System]) -> Curves:
    """Draw the logs of ``systems``."""
    logs = [(system, _log(system)) for system in systems]

    def series(kind: str, name: str) -> list[Series]:
        return [Series(look(system), thinned(_points(log, kind, name))) for system, log in logs]

    return Curves(
        line_figure(series("train", "loss"), Axes("Training loss by step", "step", is_log=True)),
        line_figure(series("validation", "loss"), Axes("Loss on held-out cuts by step", "step", is_log=True)),
        line_figure(
            series("validation", "wer"),
            Axes("Word error rate on held-out cuts by step", "step", is_percent=True, most=MOST_WER),
        ),
        [system.label for system, log in logs if not log],
    )


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most :data:`MOST_POINTS` points, each the mean of its neighbours; the last keeps its step."""
    size = -(-len(points) // MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], mean(value for _, value in group)) for group in groups]


def _log(system: System) -> list[dict[str, Any]]:
    return read_metrics(system.folder / "metrics.jsonl") if system.folder else []


def _points(log: Sequence[dict[str, Any]], kind: str, name: str) -> list[tuple[float, float]]:
    """(step, value) of the records of a kind that have a finite number under the name."""
    found = [(record["step"], record.get(name)) for record in log if record["kind"] == kind]
    return [
        (step, value) for step, value in found if isinstance(value, (int, float)) and math.isfinite(value)
    ]
