"""The smallest difference of error rates that a test set can show."""

from asrkd.significance.bootstrap import LEVEL
from asrkd.significance.contrast import Estimate
from asrkd.significance.student_t import t_quantile

POWER = 0.8


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
