"""P values: Student's t distribution, and Holm's correction for several tests.

Degrees of freedom need not be whole numbers (Satterthwaite's are not).

Source of the correction: S. Holm, "A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from collections.abc import Sequence
from math import exp, lgamma, log, sqrt
from statistics import NormalDist

_AS_GOOD_AS_NORMAL = 1e7  # degrees of freedom
_TINY = 1e-300


def t_cdf(t: float, degrees: float) -> float:
    """Compute P(T <= t) with ``degrees`` >= 0.5 degrees of freedom; accurate to 1e-12.

    Raises:
        ValueError: there are fewer than 0.5 degrees of freedom.
    """
    if not degrees >= 0.5:
        raise ValueError(f"expected at least half a degree of freedom, got {degrees}")
    if degrees >= _AS_GOOD_AS_NORMAL:
        return NormalDist().cdf(t)
    tail = 0.5 * _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)
    return 1 - tail if t > 0 else tail


def two_sided_p(t: float, degrees: float) -> float:
    """Compute P(|T| >= |t|)."""
    return 2 * t_cdf(-abs(t), degrees)


def t_quantile(p: float, degrees: float) -> float:
    """Compute the t with P(T <= t) = p; accurate to a relative error of 1e-10.

    Raises:
        ValueError: ``p`` is not between 0 and 1, both excluded.
    """
    if not 0 < p < 1:
        raise ValueError(f"expected 0 < p < 1, got {p}")
    if p == 0.5:
        return 0.0
    if p > 0.5:
        return -t_quantile(1 - p, degrees)
    low, high = -1.0, 0.0
    while t_cdf(low, degrees) > p:
        low, high = 2 * low, low
    while high - low > 1e-11 * -low:
        middle = (low + high) / 2
        low, high = (low, middle) if t_cdf(middle, degrees) > p else (middle, high)
    return (low + high) / 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values by Holm's correction; a test is rejected if its adjusted value is below alpha.

    The probability of any false rejection is then at most alpha. The tests need not be independent, and
    everything that Bonferroni's correction rejects is rejected. The k-th smallest of m values (k from 0) is
    multiplied by m - k; no adjusted value is below that of a smaller one, or above 1.

    Returns:
        Adjusted values, in the order of ``p_values``.

    Raises:
        ValueError: a value is not in [0, 1].
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"expected probabilities, got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Compute the regularized I_x(a, b) by Lentz's evaluation of its continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly
        return 1 - _incomplete_beta(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    # About sqrt(max(a, b)) rounds are needed.
    for m in range(1, 100 + int(10 * sqrt(max(a, b)))):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
