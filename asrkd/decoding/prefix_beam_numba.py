"""Frames of :mod:`asrkd.decoding.prefix_beam` in machine code for CPUs, by numba.

It adds, multiplies and divides the same numbers in the same order, and breaks
ties alike, so it keeps the same prefixes in the same places; only its speed
differs. Utterances are searched one by one.

Notation: N utterances, T frames, V symbols with blank at 0, B places in the
beam, K tokens that a frame may append.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from asrkd.data.tokens import BLANK_ID
from asrkd.decoding import prefix_beam_state

Array = np.ndarray[Any, Any]

MULTIPLIER, LOW_32_BITS = np.int64(prefix_beam_state.HASH_MULTIPLIER), np.int64(prefix_beam_state.LOW_32_BITS)
ROOT_HASH, NO_HASH = np.int64(prefix_beam_state.ROOT_HASH), np.int64(prefix_beam_state.NO_HASH)
NOWHERE = -1


class _Beam(NamedTuple):
    """Beam of B prefixes, each array (B,); see :class:`asrkd.decoding.prefix_beam_state.BeamState`."""

    blank: Array
    nonblank: Array
    last: Array
    prefix_hash: Array
    parent_hash: Array


class _Scratch(NamedTuple):
    """Scratch arrays of a frame."""

    total: Array  # (B,) of the prefixes
    parent: Array  # (B,) places of their parents, or NOWHERE
    stayed_blank: Array  # (B,) after the frame
    stayed_nonblank: Array  # (B,)
    taken: Array  # (B, V) bool, True at extensions that are prefixes of the beam already
    scores: Array  # (B,) of the best candidates, falling
    chosen: Array  # (B,) their numbers: place of a prefix that stays, or B + place * K + column


@njit(nogil=True, cache=True)
def search_frames(frames: Array, tokens: Array, allowed: Array, history: Array, possible: Array) -> None:
    """Search all frames, as :func:`asrkd.decoding.prefix_beam.search_frames`.

    Args:
        frames: (N, T, V) probabilities, float64.
        tokens: (N, T, K) int64, different tokens of each frame, the likeliest first.
        allowed: (N, T, V) bool, True at tokens that may be appended; or (1, 1, V), one row for all.
        history: (2, T, N, B) int64, filled with the source place of each prefix and the token that it
            appended.
        possible: (N, B) bool, filled with True at the places in use after the last frame.
    """
    beam = possible.shape[1]
    before, after, work = _empty(beam), _empty(beam), _scratch(beam, frames.shape[2])
    for n in range(len(frames)):
        _start(before)
        for t in range(frames.shape[1]):
            row = allowed[min(n, len(allowed) - 1), min(t, allowed.shape[1] - 1)]
            _stay(before, frames[n, t], row, work)
            _choose(before, frames[n, t], tokens[n, t], work)
            _take(before, after, tokens[n, t], work, history[:, t, n])
            before, after = after, before
        for place in range(beam):
            possible[n, place] = before.blank[place] + before.nonblank[place] > 0


@njit(nogil=True, cache=True)
def _empty(beam: int) -> _Beam:
    return _Beam(
        blank=np.zeros(beam),
        nonblank=np.zeros(beam),
        last=np.zeros(beam, np.int64),
        prefix_hash=np.zeros(beam, np.int64),
        parent_hash=np.zeros(beam, np.int64),
    )


@njit(nogil=True, cache=True)
def _scratch(beam: int, num_symbols: int) -> _Scratch:
    return _Scratch(
        total=np.empty(beam),
        parent=np.empty(beam, np.int64),
        stayed_blank=np.empty(beam),
        stayed_nonblank=np.empty(beam),
        taken=np.zeros((beam, num_symbols), np.bool_),
        scores=np.empty(beam),
        chosen=np.empty(beam, np.int64),
    )


@njit(nogil=True, cache=True)
def _start(state: _Beam) -> None:
    """Reset the beam to the certain empty prefix."""
    state.blank[:], state.nonblank[:], state.last[:] = 0.0, 0.0, BLANK_ID
    state.prefix_hash[:], state.parent_hash[:] = ROOT_HASH, NO_HASH
    state.blank[0] = 1.0


@njit(nogil=True, cache=True)
def _stay(state: _Beam, frame: Array, allowed: Array, work: _Scratch) -> None:
    """Compute the sums of the prefixes that append nothing; mark the extensions that equal a prefix."""
    beam = len(state.last)
    for place in range(beam):
        work.total[place] = state.blank[place] + state.nonblank[place]
    for place in range(beam):
        work.parent[place] = NOWHERE
        if work.total[place] > 0:
            for other in range(beam):
                if work.total[other] > 0 and state.prefix_hash[other] == state.parent_hash[place]:
                    work.parent[place] = other
                    break
    for place in range(beam):
        last, parent, merged = state.last[place], work.parent[place], 0.0
        if parent != NOWHERE:
            work.taken[parent, last] = True
            if allowed[last]:
                merged = state.blank[parent] if state.last[parent] == last else work.total[parent]
        work.stayed_blank[place] = work.total[place] * frame[BLANK_ID]
        work.stayed_nonblank[place] = state.nonblank[place] * frame[last] + merged * frame[last]


@njit(nogil=True, cache=True)
def _choose(state: _Beam, frame: Array, tokens: Array, work: _Scratch) -> None:
    """Select the best candidates by falling score; of equal ones, the first."""
    beam, count = len(state.last), 0
    for place in range(beam):
        score = work.stayed_blank[place] + work.stayed_nonblank[place]
        count = _insert(score, place, count, work)
    for place in range(beam):
        for column in range(len(tokens)):
            token = tokens[column]
            before = state.blank[place] if state.last[place] == token else work.total[place]
            score = 0.0 if work.taken[place, token] else before * frame[token]
            if score > work.scores[beam - 1]:  # all B places are filled by prefixes that stay
                count = _insert(score, beam + place * len(tokens) + column, count, work)
    for place in range(beam):
        if work.parent[place] != NOWHERE:
            work.taken[work.parent[place], state.last[place]] = False


@njit(nogil=True, inline="always")
def _insert(score: float, number: int, count: int, work: _Scratch) -> int:
    """Insert a candidate after those of equal or higher score; return the number of candidates."""
    place = min(count, len(work.scores) - 1)
    while place > 0 and work.scores[place - 1] < score:
        work.scores[place] = work.scores[place - 1]
        work.chosen[place] = work.chosen[place - 1]
        place -= 1
    work.scores[place] = score
    work.chosen[place] = number
    return min(count + 1, len(work.scores))


@njit(nogil=True, cache=True)
def _take(before: _Beam, after: _Beam, tokens: Array, work: _Scratch, history: Array) -> None:
    """Write the chosen candidates to ``after``, relative to the best; record their sources, (2, B)."""
    beam = len(before.last)
    best = work.scores[0] if work.scores[0] > 0 else 1.0
    for place in range(beam):
        number = work.chosen[place]
        if number < beam:
            source, token = number, BLANK_ID
            after.blank[place] = work.stayed_blank[source] / best
            after.nonblank[place] = work.stayed_nonblank[source] / best
            after.last[place] = before.last[source]
            after.prefix_hash[place] = before.prefix_hash[source]
            after.parent_hash[place] = before.parent_hash[source]
        else:
            source, token = (number - beam) // len(tokens), tokens[(number - beam) % len(tokens)]
            after.blank[place] = 0.0
            after.nonblank[place] = work.scores[place] / best
            after.last[place] = token
            mixed = (before.prefix_hash[source] + token) * MULTIPLIER
            after.prefix_hash[place] = mixed ^ ((mixed >> 32) & LOW_32_BITS)
            after.parent_hash[place] = before.prefix_hash[source]
        history[0, place], history[1, place] = source, token
