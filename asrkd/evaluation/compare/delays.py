"""Delays of recognized words, as a comparison records them; all times in seconds.

The *emission delay* of a word is the end of the encoder frame that emits its last token, minus the true end
of the word: where an alignment stands, which training moves. The *latency* of a stream adds the wait for the
end of the chunk that holds this frame. Either counts audio that must have been recorded, and no time of
computing. They are negative for words that are emitted before they end.

Words count that the alignment of the score has as correct. The first token of an utterance is compared with
the true start of its first word, and the last token with the true end of its last word, if the word is
correct. The latter is the partial recognition latency of Yu et al., "FastEmit: Low-latency Streaming ASR with
Sequence-level Emission Regularization", ICASSP 2021.
"""

from dataclasses import dataclass

from asrkd.scoring.significance.bootstrap import Interval

FARTHEST_S = 100.0  # largest time that is printed, in seconds


@dataclass(frozen=True)
class DelaySummary:
    """Delays of some words: mean with its interval over blocks, and percentiles over the words."""

    num_words: int  # summed over the seeds
    mean: float
    interval: Interval | None  # of the mean; None: fewer than two blocks
    median: float
    p90: float
    p95: float


@dataclass(frozen=True)
class DelayDifference:
    """Mean difference of a system's delays from those of the baseline, over the words correct in both."""

    num_words: int
    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Delays:
    """Delays of a system."""

    words: DelaySummary
    first: DelaySummary | None  # of the first token of each utterance; None: no first word is correct
    last: DelaySummary | None  # of the last token of each utterance
    difference: DelayDifference | None = None  # of words; None: it is the baseline, or has no such delays


@dataclass(frozen=True)
class Latency:
    """Delays of a system by frames, and by chunks if it decodes streams."""

    emission: Delays
    chunk: Delays | None  # with the wait for the end of the chunk; None: decoded whole


def milliseconds(seconds: float, *, signed: bool = False) -> str:
    """Format seconds in milliseconds, without -0; huge values, as of intervals of two blocks, as >100000."""
    if abs(seconds) >= FARTHEST_S:
        return f"{'<-' if seconds < 0 else '>'}{1000 * FARTHEST_S:.0f}"
    return f"{round(1000 * seconds) + 0:{'+' if signed else ''}d}"
