"""Latency section of the report: WER-latency plots, and the table of delays of `asrkd compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.compare.comparison import Comparison, SystemResult
from asrkd.evaluation.compare.delays import Delays
from asrkd.evaluation.report.figures.latencies import LatencyPoint, latency_figure
from asrkd.evaluation.report.figures.svg import Style
from asrkd.scoring.significance.bootstrap import Interval


@dataclass(frozen=True)
class LatencyRow:
    """Row of the table: a system that has delays."""

    style: Style
    result: SystemResult


@dataclass(frozen=True)
class LatencySection:
    """Plots and table; empty without times of words."""

    rows: list[LatencyRow]
    emission: Markup | None  # plot of emission delays
    chunk: Markup | None  # plot of latencies with the wait for chunks, of the systems that decode streams


def draw_latency(comparison: Comparison, styles: Mapping[str, Style]) -> LatencySection:
    """Draw the latency of the compared systems, given the style of each by name."""
    rows = [LatencyRow(styles[result.name], result) for result in comparison.systems if result.latency]
    emission = [(row, row.result.latency.emission) for row in rows if row.result.latency]
    chunk = [(row, row.result.latency.chunk) for row in rows if row.result.latency]
    rate = comparison.unit.rate_name
    return LatencySection(
        rows, _plot(emission, rate, "mean emission delay"), _plot(chunk, rate, "mean latency of streams")
    )


def _plot(rows: Sequence[tuple[LatencyRow, Delays | None]], rate: str, name: str) -> Markup | None:
    """Draw the systems that have delays; None if none has."""
    points = [
        LatencyPoint(
            row.style,
            row.result.wer,
            delays.words.mean,
            _ends(row.result.interval),
            _ends(delays.words.interval),
        )
        for row, delays in rows
        if delays
    ]
    return latency_figure(points, f"{rate} by {name}, with 95 % intervals", name) if points else None


def _ends(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)
