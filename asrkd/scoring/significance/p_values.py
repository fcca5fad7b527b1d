"""P values: Student's t distribution, and Holm's correction for several tests.

Degrees of freedom need not be whole numbers (Satterthwaite's are not). scipy.special, on which
scipy.stats.t is built, is imported where it is used: it takes 0.2 s (scipy.stats 0.7 s), which commands that
compute no interval, and ``--help``, need not wait for.

Source of the correction: S. Holm, "A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from collections.abc import Sequence


def t_cdf(t: float, degrees: float) -> float:
    """Compute P(T <= t) with ``degrees`` >= 0.5 degrees of freedom.

    Raises:
        ValueError: there are fewer than 0.5 degrees of freedom.
    """
    from scipy.special import stdtr

    if not degrees >= 0.5:
        raise ValueError(f"expected at least half a degree of freedom, got {degrees}")
    return float(stdtr(degrees, t))


def two_sided_p(t: float, degrees: float) -> float:
    """Compute P(|T| >= |t|)."""
    return 2 * t_cdf(-abs(t), degrees)


def t_quantile(p: float, degrees: float) -> float:
    """Compute the t with P(T <= t) = p, with ``degrees`` >= 0.5 degrees of freedom.

    Raises:
        ValueError: ``p`` is not between 0 and 1, both excluded, or there are fewer degrees of freedom.
    """
    from scipy.special import stdtrit

    if not 0 < p < 1:
        raise ValueError(f"expected 0 < p < 1, got {p}")
    if not degrees >= 0.5:
        raise ValueError(f"expected at least half a degree of freedom, got {degrees}")
    return float(stdtrit(degrees, p))


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
