"""Intervals from a bootstrap over blocks, and the paired bootstrap of a difference.

Sources: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals
in ASR performance evaluation", ICASSP 2004: resample whole utterances, or
rather speakers, the same ones for both systems; T. Hesterberg, "What teachers
should know about the bootstrap", The American Statistician 69 (2015), section
5: replicates of n blocks spread too little, by sqrt((n - 1) / n), and a
standard error from few blocks calls for a t quantile. So an interval is the
value plus and minus t of n - 1 degrees of freedom times the bootstrap's
standard error, mended; of an error rate, which is never below 0 and skewed
to the right, the same of its logarithm.

Why these: coverage in 2,000 to 3,000 simulated trials with speakers that differ
(tests/scoring/significance/simulated.py), in percent:

    speakers                            40    20    10     5
    difference: percentiles             92    91    89    82     (Bisani and Ney's)
                BCa                     92     -    87    81
                bootstrap-t             93     -    93    94
                expanded percentiles    94    93    94    91     (Hesterberg, section 5.3)
                t, as here              95    94    95    95
    rate:       expanded percentiles    93    92    91    89
                t of the logarithm      93    93    93    95     (as here)

Bootstrap-t also explodes where a replicate has no spread, as few blocks or few
errors make it. `python -m tests.scoring.significance.simulated_coverage` runs what is used again.

Departure from Bisani and Ney: of replicates without a difference half count as improved, so that a system
compared with itself improves with probability 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist

import numpy as np

from asrkd.scoring.significance.blocks import Numbers, block_sums
from asrkd.scoring.significance.student_t import t_quantile

NUM_REPLICATES = 10_000
LEVEL = 0.95
_AT_ONCE = 2_000_000  # drawn blocks in memory together
_FARTHEST = 100.0  # of a logarithm: what is that uncertain may as well be anything


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
        Fractions; None if there are fewer than two blocks with words, or no
        errors: drawing them anew says nothing of others.
    """
    sums = block_sums(np.stack([errors, words]).astype(np.float64), blocks, seed)
    if not can_be_resampled(sums[1]) or not sums[0].any():
        return None
    errors_drawn, words_drawn = resample(sums, seed, num_replicates)
    num_blocks = sums.shape[1]
    error = bootstrap_error(errors_drawn / words_drawn, num_blocks)
    return rate_interval(float(sums[0].sum() / sums[1].sum()), error, num_blocks - 1)


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


def bootstrap_error(replicates: Numbers, num_blocks: int) -> float:
    """The standard error of a statistic of so many blocks, from its (R,) replicates."""
    return float(replicates.std()) * sqrt(num_blocks / (num_blocks - 1))


def t_interval(value: float, std_error: float, degrees: float, level: float = LEVEL) -> Interval:
    """Of a difference, which may be on either side of 0."""
    reach = t_quantile(0.5 + level / 2, degrees) * std_error
    return Interval(value - reach, value + reach, level)


def rate_interval(value: float, std_error: float, degrees: float, level: float = LEVEL) -> Interval:
    """Of a rate >= 0: the t interval of its logarithm, whose error is relative. A rate of 0 has no width."""
    if value <= 0:
        return Interval(value, value, level)
    factor = exp(min(_FARTHEST, t_quantile(0.5 + level / 2, degrees) * std_error / value))
    return Interval(value / factor, value * factor, level)


def expanded_percentile(replicates: Numbers, num_blocks: int, level: float = LEVEL) -> Interval:
    """Between quantiles of (R,) replicates of a statistic of so many blocks, further out than the level says.

    So far out that it is the t interval if replicates are normal. For what is
    skewed to either side, such as a ratio of differences.
    """
    t = t_quantile(0.5 + level / 2, num_blocks - 1)
    outside = NormalDist().cdf(-sqrt(num_blocks / (num_blocks - 1)) * t)
    low, high = np.quantile(replicates, [outside, 1 - outside])
    return Interval(float(low), float(high), level)


def probability_below_zero(replicates: Numbers) -> float:
    """The share of (R,) replicates below 0, of those at 0 half."""
    return float(np.mean(replicates < 0) + 0.5 * np.mean(replicates == 0))
