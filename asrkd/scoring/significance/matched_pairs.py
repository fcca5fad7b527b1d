"""Matched-pairs sentence-segment word error test (MAPSSWE).

Sources: L. Gillick and S. Cox, "Some statistical issues in the comparison of
speech recognition algorithms", ICASSP 1989; D. Pallett et al., "Tools for
the analysis of benchmark speech recognition tests", ICASSP 1990; and, where
the papers leave choices open, NIST's `sc_stats -t mapsswe` (SCTK 2.4.10):

- A segment is a run of errors of either system in which fewer than two
  consecutive words are correct in both; it ends with its utterance.
- An inserted word belongs to the next word of the reference, or to the end of its utterance.
- The mean difference of the segments is tested against 0 with its standard
  error, with n - 1 in the variance. If all differences are equal, z is 0,
  whatever their value.

Segments are treated as independent, including those of one speaker.

By hand because no Python library has this test; SCTK has it as a program.

Notation: N slots, as in :class:`ErrorMap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asrkd.scoring.significance.bootstrap import Numbers

MIN_GOOD = 2  # consecutive words that both systems have right separate two segments


@dataclass(frozen=True)
class ErrorMap:
    """The positions of one system's errors on a test set.

    Notation: U utterances, W words of their references, N = W + U slots: one for each word, with the
    insertions before it, and one at the end of each utterance, with the insertions after its last word.
    """

    wrong: NDArray[np.bool_]  # (N,) the word was substituted or deleted; False at ends of utterances
    inserted: NDArray[np.int64]  # (N,) number of words inserted in the slot
    ends: NDArray[np.bool_]  # (N,) the slot is the end of an utterance; the same in all systems


@dataclass(frozen=True)
class MatchedPairs:
    """Result of the matched-pairs test."""

    num_segments: int
    mean: float  # errors of the first system minus those of the second, per segment
    z: float  # negative if the first system is better
    p: float  # two-sided
    # The difference of every segment if all are equal (z is 0 then); None if they vary.
    uniform_difference: float | None


def matched_pairs(first: Sequence[ErrorMap], second: Sequence[ErrorMap]) -> MatchedPairs:
    """Test whether two systems have the same error rate.

    Args:
        first: errors of the first system, one map a seed. With several seeds a word is correct if all seeds
            have it right, and the errors of a segment are their mean; the test is then about the mean of
            these models.
        second: errors of the second system, one map a seed, on the same references.

    Raises:
        ValueError: the references differ.
    """
    maps = [*first, *second]
    ends = maps[0].ends
    if any(not np.array_equal(errors.ends, ends) for errors in maps):
        raise ValueError("the systems were not aligned to the same references")
    segments = _segments(maps)
    difference = _errors(first) - _errors(second)  # (N,)
    slots = segments >= 0
    num_segments = int(segments.max(initial=-1)) + 1
    sums = np.bincount(segments[slots], weights=difference[slots], minlength=num_segments)
    return _test(sums.astype(np.float64))


def _errors(maps: Sequence[ErrorMap]) -> Numbers:
    """Return the (N,) errors in each slot, averaged over seeds."""
    errors: Numbers = np.mean([of_seed.wrong + of_seed.inserted for of_seed in maps], axis=0)
    return errors


def _segments(maps: Sequence[ErrorMap]) -> NDArray[np.int64]:
    """Return the (N,) index of the segment of each slot with errors, -1 for slots without."""
    ends = maps[0].ends
    wrong = np.logical_or.reduce([errors.wrong for errors in maps])
    inserted = np.logical_or.reduce([errors.inserted > 0 for errors in maps])
    good = ~wrong  # also ends of utterances, which separate segments anyway
    good_before = np.cumsum(good) - good
    utterance: NDArray[np.int64] = np.cumsum(ends) - ends
    bad = np.flatnonzero(wrong | inserted)
    begins = np.ones(len(bad), dtype=bool)
    # A correct word after an insertion follows its slot's error, so it counts toward the next separation.
    begins[1:] = (np.diff(good_before[bad]) >= MIN_GOOD) | (np.diff(utterance[bad]) > 0)
    segments = np.full(len(ends), -1, dtype=np.int64)
    segments[bad] = np.cumsum(begins) - 1
    return segments


def _test(differences: Numbers) -> MatchedPairs:
    """Compute the z test of the (segments,) differences."""
    count = len(differences)
    mean = float(differences.mean()) if count else 0.0
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    if deviation <= 1e-12:  # not 0 exactly: means over seeds are rounded
        return MatchedPairs(count, mean, 0.0, 1.0, mean)
    z = mean / (deviation / sqrt(count))
    return MatchedPairs(count, mean, z, 2 * NormalDist().cdf(-abs(z)), None)
