"""The refinement pass of :mod:`asrkd.quantizer.refinement` as machine code for CPUs, by numba.

It adds the same whole numbers and breaks ties alike, so its indexes are the
same to the last one; only the pace differs.

Letters: B frames, N codebooks, K entries of each, R = N * K rows, O options
of a choice, L codebooks that a choice spans.
"""

from typing import Any

import numba
import numpy as np
from numba import njit, prange

from asrkd.quantizer.refinement import IMPOSSIBLE
from asrkd.quantizer.tables import LARGEST_DOT

FRAMES_PER_TASK = 32  # they share scratch memory
Array = np.ndarray[Any, Any]


def use_threads(count: int) -> None:
    """Let the search take so many threads, or as many as numba was started with."""
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(max(1, min(count, most)))


@njit(parallel=True, cache=True)
def refine_frames(
    dots: Array, gram: Array, units: float, shape: Array, survivors: Array, indexes: Array, changes: Array
) -> None:
    """One pass over all frames; ``indexes`` become the new ones, and ``changes`` is filled.

    Args:
        dots: (B, R) float32, of the frames with the centres.
        gram: (R + 1, R + 1) int32, of the tables.
        units: of the tables.
        shape: (N, K).
        survivors: options that a choice keeps, by the logarithm of its span.
        indexes: (B, N) int64, the entries chosen so far.
        changes: (B,) int64, of the squared errors, in units.
    """
    num_frames, (num_codebooks, codebook_size) = len(dots), (shape[0], shape[1])
    width = max(survivors.max(), 1)
    room = 1
    while room < num_codebooks:
        room *= 2
    for task in prange((num_frames + FRAMES_PER_TASK - 1) // FRAMES_PER_TASK):
        errors = np.empty(num_codebooks * codebook_size, np.int64)
        ranked = np.empty(max(width * width, codebook_size), np.int64)
        places = np.empty(width, np.int64)
        rows = np.empty((2, room, width, room), np.int64)
        costs = np.empty((2, room, width), np.int64)
        current = np.empty(room, np.int64)
        for frame in range(task * FRAMES_PER_TASK, min((task + 1) * FRAMES_PER_TASK, num_frames)):
            for n in range(room):
                spare = n >= num_codebooks
                current[n] = len(gram) - 1 if spare else n * codebook_size + indexes[frame, n]
            _sum_errors(dots[frame], gram, units, current[:num_codebooks], errors)
            count = _single_options(
                errors, gram, current, shape, survivors[0], ranked, places, rows[0], costs[0]
            )
            side = _merge_all(gram, current, num_codebooks, survivors, count, ranked, places, rows, costs)
            for n in range(num_codebooks):
                indexes[frame, n] = rows[side, 0, 0, n] - n * codebook_size
            changes[frame] = costs[side, 0, 0]


@njit(cache=True)
def _sum_errors(dots: Array, gram: Array, units: float, current: Array, errors: Array) -> None:
    """(R,) what does not depend on the entry's own codebook: 2 (sum of products with the current - dots)."""
    for row in range(len(errors)):
        dot = np.float64(dots[row]) * units
        errors[row] = -np.int64(np.rint(min(max(dot, -LARGEST_DOT), LARGEST_DOT)))
    for now in current:
        products = gram[now]
        for row in range(len(errors)):
            errors[row] += products[row]


@njit(cache=True)
def _single_options(
    errors: Array,
    gram: Array,
    current: Array,
    shape: Array,
    survivors: int,
    ranked: Array,
    places: Array,
    rows: Array,
    costs: Array,
) -> int:
    """The best entries of every codebook, each tried with the other codebooks kept; how many of each."""
    num_codebooks, codebook_size = shape[0], shape[1]
    count = min(survivors, codebook_size)
    for n in range(len(current)):
        if n >= num_codebooks:
            for option in range(count):
                rows[n, option, 0], costs[n, option] = len(gram) - 1, IMPOSSIBLE if option else 0
            continue
        first, own = n * codebook_size, gram[current[n]]
        for k in range(codebook_size):
            row = first + k
            ranked[k] = gram[row, row] + 2 * (errors[row] - own[row])
        before = ranked[current[n] - first]
        _smallest(ranked[:codebook_size], count, places)
        for option in range(count):
            rows[n, option, 0] = first + places[option]
            costs[n, option] = ranked[places[option]] - before
    return count


@njit(cache=True)
def _merge_all(
    gram: Array,
    current: Array,
    num_codebooks: int,
    survivors: Array,
    count: int,
    ranked: Array,
    places: Array,
    rows: Array,
    costs: Array,
) -> int:
    """Merge neighbours until one choice is left; which half of ``rows`` and ``costs`` has it."""
    side, span, level = 0, 1, 0
    while span < num_codebooks:
        level += 1
        kept = min(survivors[level], count * count)
        for choice in range((num_codebooks + 2 * span - 1) // (2 * span)):
            _rank_pairs(gram, current, span, choice, count, rows[side], costs[side], ranked)
            _smallest(ranked[: count * count], kept, places)
            for option in range(kept):
                left, right = places[option] // count, places[option] % count
                costs[1 - side, choice, option] = ranked[places[option]]
                for u in range(span):
                    rows[1 - side, choice, option, u] = rows[side, 2 * choice, left, u]
                    rows[1 - side, choice, option, span + u] = rows[side, 2 * choice + 1, right, u]
        if (num_codebooks + 2 * span - 1) // (2 * span) % 2:
            _add_spare(
                (num_codebooks + 2 * span - 1) // (2 * span), 2 * span, kept, len(gram) - 1, rows, costs, side
            )
        side, span, count = 1 - side, 2 * span, kept
    return side


@njit(cache=True)
def _add_spare(
    choice: int, span: int, count: int, nothing: int, rows: Array, costs: Array, side: int
) -> None:
    """A last choice beside an odd number of them, of codebooks with nothing in them."""
    if choice >= rows.shape[1]:
        return
    for option in range(count):
        costs[1 - side, choice, option] = IMPOSSIBLE if option else 0
        for u in range(span):
            rows[1 - side, choice, option, u] = nothing


@njit(cache=True)
def _rank_pairs(
    gram: Array,
    current: Array,
    span: int,
    choice: int,
    count: int,
    rows: Array,
    costs: Array,
    ranked: Array,
) -> None:
    """The changes of all pairs of options of two neighbours, at left * count + right."""
    even, odd = 2 * choice, 2 * choice + 1
    for left in range(count):
        for right in range(count):
            ranked[left * count + right] = costs[even, left] + costs[odd, right]
    for u in range(span):
        left_now = current[even * span + u]
        of_left_now = gram[left_now]
        for left in range(count):
            row = rows[even, left, u]
            if row == left_now:  # it does not move
                continue
            products = gram[row]
            for v in range(span):
                right_now = current[odd * span + v]
                still = np.int64(of_left_now[right_now]) - products[right_now]
                for right in range(count):
                    other = rows[odd, right, v]
                    ranked[left * count + right] += 2 * (still + products[other] - of_left_now[other])


@njit(cache=True)
def _smallest(values: Array, count: int, places: Array) -> None:
    """Fill ``places`` with those of the ``count`` smallest, in their order, equal ones by their place."""
    held = 0
    for place in range(len(values)):
        value = values[place]
        if held < count:
            at = held
            held += 1
        elif value < values[places[count - 1]]:
            at = count - 1
        else:
            continue
        while at > 0 and values[places[at - 1]] > value:
            places[at] = places[at - 1]
            at -= 1
        places[at] = place
