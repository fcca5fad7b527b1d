"""Intervals from a bootstrap over blocks, and the paired bootstrap of a difference.

Sources: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals
in ASR performance evaluation", ICASSP 2004: resample whole utterances, or
rather speakers, the same ones for both systems; T. Hesterberg, "What teachers
should know about the bootstrap", The American Statistician 69 (2015), section
5.3: the percentile interval of n blocks is too narrow, as if for a normal
distribution with variance (n - 1) / n of what it should be, and takes
quantiles further out, chosen so that it would be a t interval if the
replicates were normal.

Why this interval: in 2,000 simulated trials with 10 speakers, of the paired
difference, the percentile interval covered the truth in 89 %, BCa in 87 %,
bootstrap-t in 93 %, and this one in 94 % (with 40 speakers 93, 92, 93 and
94 %). Bootstrap-t explodes where a replicate has no spread, as few blocks or
few errors make it. `python -m tests.significance.coverage` shows the first and the last of these again.
With fewer than ten blocks it still covers too seldom: about 91 % with five.

Departure from Bisani and Ney: of replicates without a difference half count as improved, so that a system
compared with itself improves with probability 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from asrkd.significance.blocks import Numbers, block_sums
from asrkd.significance.student_t import t_quantile

NUM_REPLICATES = 10_000
LEVEL = 0.95
_AT_ONCE = 2_000_000  # drawn blocks in memory together


@dataclass(frozen=True)
class Interval:
    """Where a quantity lies, at the given level of confidence."""

    low: float
    high: float
    level: float = LEVEL


def wer_interval(
    errors: Numbers, words: Numbers, blocks: Sequence[str], seed: int, num_replicates: int = NUM_REPLICATES
) -> Interval | None:
    """The 95 % interval of an error rate, by resampling blocks.

    Args:
        errors: (U,) of each utterance.
        words: (U,) in the reference of each.
        blocks: the U names of their speakers, or of what else is drawn as a whole.
        seed: of the resampling; the same seed, the same interval.
        num_replicates: R.

    Returns:
        Fractions; None if there are fewer than two blocks with words, of which
        nothing can be said.
    """
    sums = block_sums(np.stack([errors, words]).astype(np.float64), blocks, seed)
    if not can_be_resampled(sums[1]):
        return None
    replicates = resample(sums, seed, num_replicates)
    return expanded_percentile(replicates[0] / replicates[1], sums.shape[1])


def can_be_resampled(words: Numbers) -> bool:
    """Whether there are at least two blocks that have words, of (B,) words."""
    return int(np.count_nonzero(words)) >= 2


def resample(sums: Numbers, seed: int, num_replicates: int = NUM_REPLICATES) -> Numbers:
    """Totals of resampled sets of blocks, the same ones in every row.

    Args:
        sums: (K, B) of K quantities, the last one the words; see :func:`can_be_resampled`.
        seed: of the drawing.
        num_replicates: R.

    Returns:
        (K, R). A set without a word is drawn again.
    """
    rng, num_blocks = np.random.default_rng(seed), sums.shape[1]
    parts: list[Numbers] = []
    found = 0
    while found < num_replicates:
        rows = min(num_replicates - found, max(1, _AT_ONCE // num_blocks))
        drawn = rng.integers(0, num_blocks, size=(rows, num_blocks))
        drawn += num_blocks * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * num_blocks).reshape(rows, num_blocks)
        totals = sums @ weights.T.astype(np.float64)  # (K, rows)
        parts.append(totals[:, totals[-1] > 0])
        found += parts[-1].shape[1]
    return np.concatenate(parts, axis=1)


def expanded_percentile(replicates: Numbers, num_blocks: int, level: float = LEVEL) -> Interval:
    """The interval between quantiles of (R,) replicates of a statistic of so many blocks."""
    t = t_quantile(0.5 + level / 2, num_blocks - 1)
    outside = NormalDist().cdf(-sqrt(num_blocks / (num_blocks - 1)) * t)
    low, high = np.quantile(replicates, [outside, 1 - outside])
    return Interval(float(low), float(high), level)


def probability_below_zero(replicates: Numbers) -> float:
    """The share of (R,) replicates below 0, of those at 0 half."""
    return float(np.mean(replicates < 0) + 0.5 * np.mean(replicates == 0))
