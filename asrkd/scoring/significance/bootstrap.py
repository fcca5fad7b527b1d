"""Block bootstrap: confidence intervals of error rates, and the paired bootstrap of their differences.

Utterances of one speaker (or recording) have correlated errors, so an interval that treats them as
independent is too narrow. Whole blocks of utterances, which can be treated as independent, are resampled
instead.

Sources: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004: resample whole utterances, or rather speakers, the same ones for both systems. T. Hesterberg,
"What teachers should know about the bootstrap", The American Statistician 69 (2015), section 5: replicates of
n blocks have too small a spread, by sqrt((n - 1) / n), and a standard error from few blocks calls for a t
quantile.

So an interval is the value plus and minus t (n - 1 degrees of freedom) times the corrected standard error of
the bootstrap. For an error rate, which is never negative and skewed to the right, it is that of the
logarithm. In simulations (tests/scoring/significance/simulated_coverage.py) these intervals cover the true
value as often as they should; percentile, BCa and expanded percentile intervals of few speakers are too
narrow.

By hand because scipy.stats.bootstrap resamples single observations: it has no blocks, and no t interval with
Hesterberg's correction.

Departure from Bisani and Ney: half of the replicates with no difference count as improvements, so that the
probability of improvement of a system compared with itself is 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asrkd.scoring.significance.p_values import t_quantile

Numbers = NDArray[np.float64]

NUM_REPLICATES = 10_000
LEVEL = 0.95
# More blocks than these are pooled at random: pools of independent blocks are independent, the estimated
# spread stays unbiased, and 1,999 degrees of freedom are as good as infinitely many.
MAX_BLOCKS = 2000
_AT_ONCE = 2_000_000  # drawn blocks in memory at a time
_FARTHEST = 100.0  # half-width of the interval of a logarithm, at most


@dataclass(frozen=True)
class Interval:
    """Confidence interval of an estimate."""

    low: float
    high: float
    level: float = LEVEL


def wer_interval(
    errors: Numbers, words: Numbers, blocks: Sequence[str], seed: int, num_replicates: int = NUM_REPLICATES
) -> Interval | None:
    """Compute the 95 % interval of an error rate by resampling blocks.

    Args:
        errors: (U,) errors of each utterance.
        words: (U,) words in the reference of each utterance.
        blocks: names of the blocks (speakers, for example) of the U utterances.
        seed: seed of the resampling; the same seed gives the same interval.
        num_replicates: R, number of replicates.

    Returns:
        The interval, in fractions; None if fewer than two blocks have words, or if there are no errors, since
        resampling then shows no variation.
    """
    sums = block_sums(np.stack([errors, words]).astype(np.float64), blocks, seed)
    if not can_be_resampled(sums[1]) or not sums[0].any():
        return None
    errors_drawn, words_drawn = resample(sums, seed, num_replicates)
    num_blocks = sums.shape[1]
    error = bootstrap_error(errors_drawn / words_drawn, num_blocks)
    return rate_interval(float(sums[0].sum() / sums[1].sum()), error, num_blocks - 1)


def block_sums(values: Numbers, blocks: Sequence[str], seed: int) -> Numbers:
    """Sum values over the utterances of each block.

    Args:
        values: (..., U) numbers by utterance, such as errors or words.
        blocks: names of the blocks of the U utterances.
        seed: seed of the random pooling if there are more than MAX_BLOCKS.

    Returns:
        Sums (..., B), in the order of the names of the blocks.

    Raises:
        ValueError: there are not as many names as utterances.
    """
    if len(blocks) != values.shape[-1]:
        raise ValueError(f"{values.shape[-1]} utterances and {len(blocks)} names of blocks")
    index, num_blocks = _numbered(blocks)
    if num_blocks > MAX_BLOCKS:
        pools = np.arange(num_blocks) % MAX_BLOCKS  # sizes differ by at most one block
        index = np.random.default_rng(seed).permutation(pools)[index]
        num_blocks = MAX_BLOCKS
    rows = values.reshape(-1, values.shape[-1])
    sums = [np.bincount(index, weights=row, minlength=num_blocks) for row in rows]
    return np.array(sums, np.float64).reshape(*values.shape[:-1], num_blocks)


def _numbered(blocks: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """Return the (U,) rank of each name among the sorted names, and the number of names."""
    ranks = {name: rank for rank, name in enumerate(sorted(set(blocks)))}
    return np.array([ranks[name] for name in blocks], dtype=np.int64), len(ranks)


def can_be_resampled(words: Numbers) -> bool:
    """Whether at least two blocks have words; ``words`` is (B,)."""
    return int(np.count_nonzero(words)) >= 2


def resample(sums: Numbers, seed: int, num_replicates: int = NUM_REPLICATES) -> Numbers:
    """Draw sets of B blocks with replacement and sum each quantity over them.

    Args:
        sums: (K, B) sums of K quantities by block, the last one words; see :func:`can_be_resampled`.
        seed: seed of the random generator.
        num_replicates: R, number of replicates.

    Returns:
        Totals (K, R), of the same sets of blocks in every row. A set without words is drawn again.
    """
    rng, num_blocks = np.random.default_rng(seed), sums.shape[1]
    parts: list[Numbers] = []
    num_drawn = 0
    while num_drawn < num_replicates:
        rows = min(num_replicates - num_drawn, max(1, _AT_ONCE // num_blocks))
        drawn = rng.integers(0, num_blocks, size=(rows, num_blocks))
        drawn += num_blocks * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * num_blocks).reshape(rows, num_blocks)
        totals = sums @ weights.T.astype(np.float64)  # (K, rows)
        parts.append(totals[:, totals[-1] > 0])
        num_drawn += parts[-1].shape[1]
    return np.concatenate(parts, axis=1)


def bootstrap_error(replicates: Numbers, num_blocks: int) -> float:
    """Compute the corrected standard error of a statistic from its (R,) replicates."""
    return float(replicates.std()) * sqrt(num_blocks / (num_blocks - 1))


def t_interval(value: float, std_error: float, degrees: float, level: float = LEVEL) -> Interval:
    """Compute the t interval of a quantity of either sign, such as a difference."""
    reach = t_quantile(0.5 + level / 2, degrees) * std_error
    return Interval(value - reach, value + reach, level)


def rate_interval(value: float, std_error: float, degrees: float, level: float = LEVEL) -> Interval:
    """Compute the interval of a rate >= 0 as the t interval of its logarithm; no width for a rate of 0."""
    if value <= 0:
        return Interval(value, value, level)
    factor = exp(min(_FARTHEST, t_quantile(0.5 + level / 2, degrees) * std_error / value))
    return Interval(value / factor, value * factor, level)


def expanded_percentile(replicates: Numbers, num_blocks: int, level: float = LEVEL) -> Interval:
    """Compute the expanded percentile interval (Hesterberg, section 5.3) of (R,) replicates.

    The quantiles are further out than those of ``level``, so that the interval is the t interval if the
    replicates are normal. It suits statistics that are skewed to either side, such as a ratio of differences.
    """
    t = t_quantile(0.5 + level / 2, num_blocks - 1)
    outside = NormalDist().cdf(-sqrt(num_blocks / (num_blocks - 1)) * t)
    low, high = np.quantile(replicates, [outside, 1 - outside])
    return Interval(float(low), float(high), level)


def probability_below_zero(replicates: Numbers) -> float:
    """Compute the fraction of (R,) replicates below 0, counting those equal to 0 as half."""
    return float(np.mean(replicates < 0) + 0.5 * np.mean(replicates == 0))
