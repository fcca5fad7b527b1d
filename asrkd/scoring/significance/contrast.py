"""What a weighted sum of systems' error rates is, and how far off it may be: over blocks, and over seeds.

A recipe that is trained again from another seed gives another model, and
other speakers would have given other errors. Both are taken for random
draws that cross each other: each of S seeds is scored on the same B blocks.
The variance of the mean over seeds is then that between blocks (of the
seeds' mean), plus that between seeds (of the whole set), less their
interaction, which is in both. Source: the two-way layout with random
effects, as in Searle, Casella and McCulloch, "Variance Components" (1992),
chapter 4, with the degrees of freedom of F. E. Satterthwaite, "An approximate
distribution of estimates of variance components", Biometrics Bulletin 2
(1946); the error rate, a ratio, is linearized.

Assumptions: blocks are independent of each other, and seeds too; sums over
blocks and means over seeds are about normal. Systems with the same seeds are
compared seed by seed, for what a seed decides (the order of the data, a
teacher of the same seed) they may share. With two or three seeds the part of
the seeds rests on one or two degrees of freedom: intervals are wide, as they
should be, and little can be shown. With one seed there is no such part, and
what is said is about these models, not about others trained alike.

Letters: B blocks, S seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from asrkd.scoring.significance.blocks import Numbers
from asrkd.scoring.significance.bootstrap import LEVEL, Interval, t_interval
from asrkd.scoring.significance.student_t import t_cdf, t_quantile, two_sided_p

POWER = 0.8


@dataclass(frozen=True)
class ContrastTerm:
    """A system's part in a contrast."""

    weight: float
    errors: Numbers  # (S, B)
    seeds: tuple[int, ...]  # S of them


@dataclass(frozen=True)
class Estimate:
    """A quantity, how far off it may be, and on how many degrees of freedom that rests."""

    value: float
    std_error: float
    degrees: float

    def interval(self, level: float = LEVEL) -> Interval:
        """The t interval."""
        return t_interval(self.value, self.std_error, self.degrees, level)

    def p(self) -> float:
        """Two-sided, that the quantity is 0; 1 where nothing varies and nothing differs."""
        if self.std_error == 0:
            return float(self.value == 0)
        return two_sided_p(self.value / self.std_error, self.degrees)

    def probability_below_zero(self) -> float:
        """How likely the quantity is negative, as far as this estimate can say."""
        if self.std_error == 0:
            return 0.5 if self.value == 0 else float(self.value < 0)
        return t_cdf(-self.value / self.std_error, self.degrees)


def contrast(terms: Sequence[ContrastTerm], words: Numbers) -> Estimate:
    """The weighted sum of error rates, each the mean over a system's seeds.

    Args:
        terms: the systems; their weights are of any sign.
        words: (B,) in the references of each block, of at least two blocks.

    Returns:
        Its value as a fraction. The standard error is over blocks and, for
        systems with two seeds or more, over seeds.
    """
    total, num_blocks = words.sum(), words.size
    crossed = [_cross(group, words) for group in _by_seeds(terms)]
    value = sum(part.value for part in crossed)
    residuals = sum((part.residuals for part in crossed), np.zeros(num_blocks))
    of_blocks = num_blocks / (num_blocks - 1) * float(residuals @ residuals) / total**2
    squares = of_blocks**2 / (num_blocks - 1)
    variance = of_blocks
    for part in crossed:
        variance += part.of_seeds - part.of_interaction
        squares += part.of_seeds**2 / max(1, part.num_seeds - 1)
        squares += part.of_interaction**2 / max(1, (part.num_seeds - 1) * (num_blocks - 1))
    variance = max(variance, of_blocks)  # the estimate of the seeds' part may fall below 0, the part cannot
    degrees = variance**2 / squares if squares else num_blocks - 1.0
    return Estimate(value, sqrt(variance), min(max(degrees, 1.0), num_blocks - 1.0))


@dataclass(frozen=True)
class _Crossed:
    """The systems of the same seeds: their weighted sum and the parts of its variance."""

    value: float
    residuals: Numbers  # (B,), of the mean over seeds: sum to 0
    of_seeds: float
    of_interaction: float
    num_seeds: int


def _by_seeds(terms: Sequence[ContrastTerm]) -> list[list[ContrastTerm]]:
    groups: dict[tuple[int, ...], list[ContrastTerm]] = {}
    for term in terms:
        groups.setdefault(tuple(sorted(term.seeds)), []).append(term)
    return list(groups.values())


def _cross(terms: Sequence[ContrastTerm], words: Numbers) -> _Crossed:
    total, num_blocks = words.sum(), words.size
    errors = sum(
        (term.weight * term.errors[np.argsort(term.seeds, kind="stable")] for term in terms),
        np.zeros_like(terms[0].errors),
    )  # (S, B)
    values = errors.sum(axis=1) / total  # (S,)
    each = errors - values[:, None] * words  # (S, B)
    residuals = each.mean(axis=0)
    num_seeds = len(values)
    if num_seeds == 1:
        return _Crossed(float(values[0]), residuals, 0.0, 0.0, 1)
    of_seeds = float(values.var(ddof=1)) / num_seeds
    squares = float(((each - residuals) ** 2).sum())
    of_interaction = num_blocks / (num_blocks - 1) * squares / (num_seeds * (num_seeds - 1)) / total**2
    return _Crossed(float(values.mean()), residuals, of_seeds, of_interaction, num_seeds)


def smallest_difference(difference: Estimate, level: float = LEVEL, power: float = POWER) -> float:
    """The true difference that a two-sided test at 1 - ``level`` finds in a share ``power`` of the cases.

    It follows from the spread of the paired difference, so it belongs to
    this pair of systems: two that err alike need a smaller test set than two
    that err each in its own way. (t of the level + t of the power) times the
    standard error, as in any t test; e.g. Cohen, "Statistical Power Analysis"
    (1988), chapter 2.

    Returns:
        A fraction of words, >= 0.
    """
    degrees = difference.degrees
    return (t_quantile(0.5 + level / 2, degrees) + t_quantile(power, degrees)) * difference.std_error
