"""Holm's correction: several tests at once, and still at most alpha for any false alarm among them.

Source: S. Holm, "A simple sequentially rejective multiple test procedure",
Scandinavian Journal of Statistics 6 (1979). It needs no independence of the
tests, and rejects whatever Bonferroni's correction rejects.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order of ``p_values``: reject those that are below alpha.

    The k-th smallest of m (k from 0) is multiplied by m - k; no adjusted value is
    below that of a smaller one, or above 1.

    Raises:
        ValueError: one is not in [0, 1].
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"expected probabilities, got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
