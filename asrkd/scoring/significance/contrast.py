"""Contrasts: weighted sums of error rates with standard errors over blocks and seeds, and ratios of them.

A recipe trained again from another seed gives another model, and other speakers would have given other
errors. Both are treated as crossed random effects: each of S seeds is scored on the same B blocks. The
variance of the mean over seeds is that between blocks (of the mean over seeds), plus that between seeds (of
the whole set), less their interaction, which is in both. The error rate, a ratio, is linearized.

Sources: the two-way layout with random effects, as in Searle, Casella and McCulloch, "Variance Components"
(1992), chapter 4; degrees of freedom: F. E. Satterthwaite, "An approximate distribution of estimates of
variance components", Biometrics Bulletin 2 (1946); intervals of ratios: E. C. Fieller, "Some problems in
interval estimation", Journal of the Royal Statistical Society B 16 (1954).

Assumptions: blocks are independent of each other, and so are seeds; sums over blocks and means over seeds are
approximately normal. Systems with the same seeds are compared seed by seed, since they may share what a seed
decides (the order of the data, a teacher of the same seed). With two or three seeds the variance between
seeds has one or two degrees of freedom, so intervals are wide and few differences are significant. With one
seed there is no such variance, and the results are about these models, not about others trained alike.

Notation: B blocks, S seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from asrkd.scoring.significance.bootstrap import LEVEL, Interval, Numbers, t_interval
from asrkd.scoring.significance.p_values import t_cdf, t_quantile, two_sided_p

POWER = 0.8
_FARTHEST = 1e6  # limit of the search for the end of a ratio's interval


@dataclass(frozen=True)
class ContrastTerm:
    """A system's term of a contrast."""

    weight: float
    errors: Numbers  # (S, B)
    seeds: tuple[int, ...]  # S seeds


@dataclass(frozen=True)
class Estimate:
    """Estimate with its standard error, and the degrees of freedom of the error."""

    value: float
    std_error: float
    degrees: float

    def interval(self, level: float = LEVEL) -> Interval:
        """Compute the t interval."""
        return t_interval(self.value, self.std_error, self.degrees, level)

    def p(self) -> float:
        """Compute the two-sided p value of the quantity being 0; 1 if value and standard error are 0."""
        if self.std_error == 0:
            return float(self.value == 0)
        return two_sided_p(self.value / self.std_error, self.degrees)

    def probability_below_zero(self) -> float:
        """Compute the probability that the quantity is negative, by the t distribution."""
        if self.std_error == 0:
            return 0.5 if self.value == 0 else float(self.value < 0)
        return t_cdf(-self.value / self.std_error, self.degrees)


def contrast(terms: Sequence[ContrastTerm], words: Numbers) -> Estimate:
    """Estimate a weighted sum of error rates, each the mean over a system's seeds.

    Args:
        terms: the systems with their weights, of either sign.
        words: (B,) words in the references of each block; B is at least 2.

    Returns:
        The value as a fraction. The standard error is over blocks and, for systems with two or more seeds,
        also over seeds.
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
    variance = max(variance, of_blocks)  # the estimate of the variance between seeds may be negative
    degrees = variance**2 / squares if squares else num_blocks - 1.0
    return Estimate(value, sqrt(variance), min(max(degrees, 1.0), num_blocks - 1.0))


@dataclass(frozen=True)
class _Crossed:
    """The weighted sum over systems with the same seeds, and the components of its variance."""

    value: float
    residuals: Numbers  # (B,) of the mean over seeds; their sum is 0
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
    """Compute the smallest true difference that a two-sided test at 1 - ``level`` detects with ``power``.

    The difference is (t of the level + t of the power) times the standard error, as for any t test; e.g.
    J. Cohen, "Statistical Power Analysis" (1988), chapter 2. It depends on the spread of the paired
    difference, so it holds for this pair of systems: two systems with similar errors need a smaller test set
    than two with different errors.

    Returns:
        A fraction of words, >= 0.
    """
    degrees = difference.degrees
    return (t_quantile(0.5 + level / 2, degrees) + t_quantile(power, degrees)) * difference.std_error


def fieller(
    numerator: Sequence[ContrastTerm],
    denominator: Sequence[ContrastTerm],
    words: Numbers,
    level: float = LEVEL,
) -> Interval | None:
    """Compute Fieller's interval of the ratio of two contrasts, such as the share of a gap that is closed.

    The interval contains every ratio r for which numerator - r * denominator does not differ significantly
    from 0.

    Args:
        numerator: terms of the numerator.
        denominator: terms of the denominator, whose value is not 0.
        words: (B,) words in the references of each block.
        level: confidence level.

    Returns:
        The interval; None if it is unbounded, because the denominator may be 0.
    """

    def is_rejected(ratio: float) -> bool:
        terms = [*numerator, *(replace(term, weight=-ratio * term.weight) for term in denominator)]
        return contrast(terms, words).p() < 1 - level

    middle = contrast(numerator, words).value / contrast(denominator, words).value
    low, high = _end(is_rejected, middle, -1.0), _end(is_rejected, middle, 1.0)
    return None if low is None or high is None else Interval(low, high, level)


def _end(is_rejected: Callable[[float], bool], middle: float, direction: float) -> float | None:
    """Find the first rejected ratio in a direction from ``middle`` by bisection; None if there is none."""
    near, step = middle, 1e-3
    while not is_rejected(middle + direction * step):
        near, step = middle + direction * step, 2 * step
        if step > _FARTHEST:
            return None
    far = middle + direction * step
    for _ in range(40):
        between = (near + far) / 2
        near, far = (near, between) if is_rejected(between) else (between, far)
    return (near + far) / 2
