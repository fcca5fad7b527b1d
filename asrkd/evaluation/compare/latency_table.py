"""Columns of a comparison's tables of latency, in milliseconds, and their legend."""

from collections.abc import Callable

from asrkd.evaluation.compare.comparison import Comparison, SystemResult
from asrkd.evaluation.compare.delays import DelayDifference, Delays, DelaySummary, milliseconds
from asrkd.scoring.significance.bootstrap import Interval

NOTHING = ""

Column = tuple[str, Callable[[SystemResult], str]]
Find = Callable[[SystemResult], Delays | None]


def has_latency(comparison: Comparison) -> bool:
    """Whether the scores of a system have times of words."""
    return any(system.latency for system in comparison.systems)


def latency_columns(comparison: Comparison) -> list[list[Column]]:
    """Return the columns of each table: delays of words, of first and last tokens, and both of streams."""
    names: list[Column] = [("system", lambda system: system.name)]
    rates: list[Column] = [
        (f"{comparison.unit.rate} %", lambda system: f"{100 * system.wer:.2f}"),
        ("x real time", lambda system: f"{system.costs.real_time_factor:.4f}" if system.costs else NOTHING),
    ]
    delays = [names + rates + _of_words(_emission, "delay"), names + _of_ends(_emission)]
    if any(system.latency and system.latency.chunk for system in comparison.systems):
        delays += [names + _of_words(_chunk, "latency"), names + _of_ends(_chunk)]
    return delays


def latency_legend(comparison: Comparison) -> str:
    """Explain the tables of latency."""
    waits = any(system.latency and system.latency.chunk for system in comparison.systems)
    chunks = "; latency: with the wait for the end of the chunk, in the two tables below it" if waits else ""
    return (
        "delay: end of the frame that emits a correct word's last token, after the true end of the word; "
        "first: first token of an utterance, after the start of its first word; last: last token, after the "
        f"end of its last word{chunks}; diff: words correct in both; p50, p90, p95: percentiles; "
        f"95 %: of the mean, bootstrap over {comparison.blocks}s."
    )


def _emission(system: SystemResult) -> Delays | None:
    return system.latency.emission if system.latency else None


def _chunk(system: SystemResult) -> Delays | None:
    return system.latency.chunk if system.latency else None


def _of_words(find: Find, title: str) -> list[Column]:
    """Return the columns of the delays of words."""

    def words(system: SystemResult) -> DelaySummary | None:
        return delays.words if (delays := find(system)) else None

    def differing(cell: Callable[[DelayDifference], str]) -> Callable[[SystemResult], str]:
        def of_system(system: SystemResult) -> str:
            delays = find(system)
            return cell(delays.difference) if delays and delays.difference else NOTHING

        return of_system

    return [
        *_mean(words, title),
        ("diff", differing(lambda difference: milliseconds(difference.value, signed=True))),
        ("95 %", differing(lambda difference: _interval(difference.interval))),
        *_percentiles(words),
        ("words", lambda system: f"{summary.num_words:,}" if (summary := words(system)) else NOTHING),
    ]


def _of_ends(find: Find) -> list[Column]:
    """Return the columns of the first and the last tokens."""

    def first(system: SystemResult) -> DelaySummary | None:
        return delays.first if (delays := find(system)) else None

    def last(system: SystemResult) -> DelaySummary | None:
        return delays.last if (delays := find(system)) else None

    return [
        *_mean(first, "first"), *_percentiles(first), *_mean(last, "last"), *_percentiles(last),
    ]  # fmt: skip


def _mean(find: Callable[[SystemResult], DelaySummary | None], title: str) -> list[Column]:
    return [
        (f"{title} ms", _cell(find, lambda summary: milliseconds(summary.mean))),
        ("95 %", _cell(find, lambda summary: _interval(summary.interval))),
    ]


def _percentiles(find: Callable[[SystemResult], DelaySummary | None]) -> list[Column]:
    return [
        ("p50", _cell(find, lambda summary: milliseconds(summary.median))),
        ("p90", _cell(find, lambda summary: milliseconds(summary.p90))),
        ("p95", _cell(find, lambda summary: milliseconds(summary.p95))),
    ]


def _cell(
    find: Callable[[SystemResult], DelaySummary | None], form: Callable[[DelaySummary], str]
) -> Callable[[SystemResult], str]:
    return lambda system: form(summary) if (summary := find(system)) else NOTHING


def _interval(interval: Interval | None) -> str:
    return NOTHING if interval is None else f"[{milliseconds(interval.low)}, {milliseconds(interval.high)}]"
