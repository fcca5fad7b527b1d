"""Student's t distribution, whose degrees of freedom need not be whole (Satterthwaite's are not)."""

from math import exp, lgamma, log, sqrt
from statistics import NormalDist

_AS_GOOD_AS_NORMAL = 1e7  # degrees of freedom
_TINY = 1e-300


def t_cdf(t: float, degrees: float) -> float:
    """P(T <= t) for a T of ``degrees`` degrees of freedom, at least 0.5; accurate to 1e-12.

    Raises:
        ValueError: there are fewer.
    """
    if not degrees >= 0.5:
        raise ValueError(f"expected at least half a degree of freedom, got {degrees}")
    if degrees >= _AS_GOOD_AS_NORMAL:
        return NormalDist().cdf(t)
    tail = 0.5 * _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)
    return 1 - tail if t > 0 else tail


def two_sided_p(t: float, degrees: float) -> float:
    """P(|T| >= |t|)."""
    return 2 * t_cdf(-abs(t), degrees)


def t_quantile(p: float, degrees: float) -> float:
    """The t with P(T <= t) = p, for 0 < p < 1; accurate to 1e-10 of itself.

    Raises:
        ValueError: ``p`` is not a probability between the two ends.
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


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized I_x(a, b), by Lentz's evaluation of its continued fraction."""
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
