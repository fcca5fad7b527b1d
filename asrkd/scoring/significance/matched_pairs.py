"""The matched-pairs sentence-segment word error test (MAPSSWE).

Sources: L. Gillick and S. Cox, "Some statistical issues in the comparison of
speech recognition algorithms", ICASSP 1989; D. Pallett et al., "Tools for
the analysis of benchmark speech recognition tests", ICASSP 1990; and what
NIST's `sc_stats -t mapsswe` does (2.4.10), which the papers leave open:

- A segment is a run of errors of either system in which fewer than two
  words in a row were right in both; the end of an utterance ends it.
- An inserted word stands before the next word of the reference, or at the end of its utterance.
- The mean of the segments' differences is tested against 0 by its own
  standard error, with n - 1 in the variance. Where all differences are the
  same, z is 0, whatever they are.

Segments are taken for independent, also those of one speaker.

Letters: U utterances, W words of their references, N = W + U slots: one for
each word, with what was inserted before it, and one at the end of each
utterance, for what was inserted after its last word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asrkd.scoring.significance.blocks import Numbers

MIN_GOOD = 2  # words right in both systems that part two segments


@dataclass(frozen=True)
class ErrorMap:
    """Where one system erred on a test set."""

    wrong: NDArray[np.bool_]  # (N,) the word was substituted or deleted; False at ends of utterances
    inserted: NDArray[np.int64]  # (N,) words inserted there
    ends: NDArray[np.bool_]  # (N,) the slot is the end of an utterance; the same in all systems


@dataclass(frozen=True)
class MatchedPairs:
    """The result of the test."""

    num_segments: int
    mean: float  # errors of the first system less those of the second, in a segment
    z: float  # negative: the first system is better
    p: float  # two-sided
    # The errors by which every segment differs, where all differ alike; z is 0 then, whatever they are.
    uniform_difference: float | None


def matched_pairs(first: Sequence[ErrorMap], second: Sequence[ErrorMap]) -> MatchedPairs:
    """Test whether two systems err equally often.

    Args:
        first: a system's errors; several of them are its seeds: a word is
            right if all had it right, and a segment's errors are their mean. What
            is tested is then the mean of these very models.
        second: the other's, of the same references.

    Raises:
        ValueError: the references differ.
    """
    maps = [*first, *second]
    ends = maps[0].ends
    if any(not np.array_equal(each.ends, ends) for each in maps):
        raise ValueError("the systems were not aligned to the same references")
    segments = _segments(maps)
    difference = _errors(first) - _errors(second)  # (N,)
    slots = segments >= 0
    num_segments = int(segments.max(initial=-1)) + 1
    sums = np.bincount(segments[slots], weights=difference[slots], minlength=num_segments)
    return _test(sums.astype(np.float64))


def _errors(maps: Sequence[ErrorMap]) -> Numbers:
    """(N,) errors in each slot, the mean over seeds."""
    errors: Numbers = np.mean([each.wrong + each.inserted for each in maps], axis=0)
    return errors


def _segments(maps: Sequence[ErrorMap]) -> NDArray[np.int64]:
    """(N,) the number of the segment that a slot's errors belong to, -1 where no system errs."""
    ends = maps[0].ends
    wrong = np.logical_or.reduce([each.wrong for each in maps])
    inserted = np.logical_or.reduce([each.inserted > 0 for each in maps])
    good = ~wrong  # an end too, which parts segments anyway
    good_before = np.cumsum(good) - good
    utterance: NDArray[np.int64] = np.cumsum(ends) - ends
    bad = np.flatnonzero(wrong | inserted)
    begins = np.ones(len(bad), dtype=bool)
    # A good word with an insertion before it comes after its slot's error, and so parts it from the next one.
    begins[1:] = (np.diff(good_before[bad]) >= MIN_GOOD) | (np.diff(utterance[bad]) > 0)
    segments = np.full(len(ends), -1, dtype=np.int64)
    segments[bad] = np.cumsum(begins) - 1
    return segments


def _test(differences: Numbers) -> MatchedPairs:
    """The z test of (segments,) differences."""
    count = len(differences)
    mean = float(differences.mean()) if count else 0.0
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    if deviation <= 1e-12:  # means over seeds are rounded
        return MatchedPairs(count, mean, 0.0, 1.0, mean)
    z = mean / (deviation / sqrt(count))
    return MatchedPairs(count, mean, z, 2 * NormalDist().cdf(-abs(z)), None)
