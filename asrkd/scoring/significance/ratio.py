"""The interval of a ratio of two differences of error rates, such as the share of a gap that is closed.

Where each system has one seed, it is that of a bootstrap: numerator and
denominator from the same blocks, by expanded percentiles (see
:mod:`asrkd.scoring.significance.bootstrap`). Over several seeds, and where some
replicate has no denominator above 0 and so no ratio, it is Fieller's: all
ratios r for which numerator - r x denominator is not shown to differ from 0,
by :mod:`asrkd.scoring.significance.contrast`.
Source: E. C. Fieller, "Some problems in interval estimation", Journal of the
Royal Statistical Society B 16 (1954).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from asrkd.scoring.significance.blocks import Numbers
from asrkd.scoring.significance.bootstrap import LEVEL, Interval
from asrkd.scoring.significance.contrast import ContrastTerm, contrast

_FARTHEST = 1e6  # a ratio beyond it is none


def fieller(
    numerator: Sequence[ContrastTerm],
    denominator: Sequence[ContrastTerm],
    words: Numbers,
    level: float = LEVEL,
) -> Interval | None:
    """The interval of ``numerator`` over ``denominator``, two contrasts.

    Args:
        numerator: its terms.
        denominator: its terms; the value is not 0.
        words: (B,) in the references of each block.
        level: of confidence.

    Returns:
        None where it has no end, because the denominator may be 0.
    """

    def refuted(ratio: float) -> bool:
        terms = [*numerator, *(replace(term, weight=-ratio * term.weight) for term in denominator)]
        return contrast(terms, words).p() < 1 - level

    middle = contrast(numerator, words).value / contrast(denominator, words).value
    low, high = _end(refuted, middle, -1.0), _end(refuted, middle, 1.0)
    return None if low is None or high is None else Interval(low, high, level)


def _end(refuted: Callable[[float], bool], middle: float, direction: float) -> float | None:
    """The first ratio that is refuted on the way from ``middle``."""
    near, step = middle, 1e-3
    while not refuted(middle + direction * step):
        near, step = middle + direction * step, 2 * step
        if step > _FARTHEST:
            return None
    far = middle + direction * step
    for _ in range(40):
        between = (near + far) / 2
        near, far = (near, between) if refuted(between) else (between, far)
    return (near + far) / 2
