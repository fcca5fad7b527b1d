"""Beam search of :mod:`asrkd.quantizer.search.beam` as machine code for CPUs, by numba.

Frames are searched one by one. Continuations of the same sum share all but
their last product, and a group of entries without one good enough for the beam
is skipped by its smallest cost.

Notation: B frames, N codebooks, K entries of each, R = N * K rows, W sums in the beam.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from asrkd.quantizer.search.beam import LARGEST_COST
from asrkd.quantizer.search.refinement import PLACES

Array = np.ndarray[Any, Any]

GROUP = 32  # entries skipped together
PLACE_BITS = PLACES.bit_length() - 1
NO_KEY = np.int64(2**62)
LARGEST_32 = np.int64(2**31 - 1)


class BeamCenters(NamedTuple):
    """Tables of the centers."""

    gram: Array  # (R, R) int16, coarse
    halves: Array  # (R,) int32, half of its diagonal
    units: float  # coarse units in 1


class _Scratch(NamedTuple):
    """Work arrays, reused for every frame; "two" are the sides before and after a codebook."""

    costs: Array  # (R,) int32, of the entries alone
    order: Array  # (N,) codebooks
    gains: Array  # (N,) of the best entries alone
    rows: Array  # (two, W, N) entries of the sums in the beam
    totals: Array  # (W,) costs of these sums
    parents: Array  # (W,) places in the previous beam of the sums that they continue
    shared: Array  # (W, K) int32, costs of a next entry shared by the continuations of a sum
    is_shared: Array  # (W,) whether these are computed
    values: Array  # (K,) int32, costs of a next entry
    smallest: Array  # (K / GROUP,) int32, smallest of every group of values
    keys: Array  # (W,) of the best continuations, ascending: cost and place


@njit(nogil=True, cache=True)
def search_frames(dots: Array, centers: BeamCenters, beam: int, indexes: Array) -> None:
    """Fill in the indexes of some frames.

    Args:
        dots: (B, R) float32, inner products of the frames with the centers.
        centers: tables of the quantizer's centers.
        beam: W, at most 64.
        indexes: (B, N) uint8, filled in.
    """
    num_codebooks = indexes.shape[1]
    codebook_size = dots.shape[1] // num_codebooks
    work = _scratch(num_codebooks, codebook_size, beam)
    for frame in range(len(dots)):
        _cost_entries(dots[frame], centers, work.costs)
        _order_codebooks(work, codebook_size)
        count, side = 1, 0
        work.totals[0] = 0
        for number in range(num_codebooks):
            count = _continue(work, centers.gram, (number, count, side), codebook_size)
            side = 1 - side
        for row in work.rows[side, 0]:
            indexes[frame, row // codebook_size] = row % codebook_size


@njit(nogil=True, cache=True)
def _scratch(num_codebooks: int, codebook_size: int, beam: int) -> _Scratch:
    return _Scratch(
        costs=np.empty(num_codebooks * codebook_size, np.int32),
        order=np.empty(num_codebooks, np.int64),
        gains=np.empty(num_codebooks, np.int64),
        rows=np.empty((2, beam, num_codebooks), np.int64),
        totals=np.empty(beam, np.int64),
        parents=np.zeros(beam, np.int64),
        shared=np.empty((beam, codebook_size), np.int32),
        is_shared=np.empty(beam, np.bool_),
        values=np.empty(codebook_size, np.int32),
        smallest=np.empty((codebook_size + GROUP - 1) // GROUP, np.int32),
        keys=np.empty(beam, np.int64),
    )


@njit(nogil=True, cache=True)
def _cost_entries(dots: Array, centers: BeamCenters, costs: Array) -> None:
    """Compute half of the squared error that an entry alone adds."""
    for row in range(len(costs)):
        dot = min(max(np.float64(dots[row]) * centers.units, -LARGEST_COST), LARGEST_COST)
        costs[row] = centers.halves[row] - np.int32(np.rint(dot))  # type: ignore[arg-type]


@njit(nogil=True, cache=True)
def _order_codebooks(work: _Scratch, codebook_size: int) -> None:
    """Sort the codebooks by the cost of their best entry alone, ties by their number."""
    order, gains = work.order, work.gains
    for n in range(len(order)):
        gain = np.int64(_smallest(work.costs[n * codebook_size : (n + 1) * codebook_size]))
        place = n
        while place > 0 and gains[place - 1] > gain:
            gains[place], order[place] = gains[place - 1], order[place - 1]
            place -= 1
        gains[place], order[place] = gain, n


@njit(nogil=True, cache=True)
def _smallest(values: Array) -> int:
    smallest = values[0]
    for place in range(len(values)):
        smallest = min(smallest, values[place])
    return smallest  # type: ignore[no-any-return]


@njit(nogil=True, cache=True)
def _continue(work: _Scratch, gram: Array, state: tuple[int, int, int], codebook_size: int) -> int:
    """Add an entry of the next codebook to the sums of one side; return the number of sums on the other."""
    number, count, side = state
    first = work.order[number] * codebook_size
    before, after, keys = work.rows[side], work.rows[1 - side], work.keys
    costs = work.costs[first : first + codebook_size]
    keys[:] = NO_KEY
    work.is_shared[:] = False
    values, smallest, totals, parents = work.values, work.smallest, work.totals, work.parents
    if number == 0:
        _keep(costs, smallest, 0, 0, keys)
    for place in range(count if number > 0 else 0):
        parent = parents[place]
        if not work.is_shared[parent]:
            _share(work.shared[parent], costs, gram, before[place, : number - 1], first)
            work.is_shared[parent] = True
        _add(values, work.shared[parent], gram[before[place, number - 1], first : first + codebook_size])
        _keep(values, smallest, totals[place], place, keys)
    count = min(len(keys), count * codebook_size)
    for place in range(count):
        chosen = keys[place] & (PLACES - 1)
        parent = chosen // codebook_size
        parents[place], totals[place] = parent, keys[place] >> PLACE_BITS
        for entry in range(number):  # numba copies slices slowly, as they might overlap
            after[place, entry] = before[parent, entry]
        after[place, number] = first + chosen % codebook_size
    return count


@njit(nogil=True, cache=True)
def _share(sums: Array, costs: Array, gram: Array, rows: Array, first: int) -> None:
    """Compute the costs of the next entries with the entries ``rows``."""
    last = first + len(sums)
    for k in range(len(sums)):
        sums[k] = costs[k]
    in_fours = len(rows) - len(rows) % 4
    for place in range(0, in_fours, 4):  # four reads of memory at once
        one, two = gram[rows[place], first:last], gram[rows[place + 1], first:last]
        three, four = gram[rows[place + 2], first:last], gram[rows[place + 3], first:last]
        for k in range(len(sums)):
            sums[k] = sums[k] + one[k] + two[k] + three[k] + four[k]
    for place in range(in_fours, len(rows)):
        _add(sums, sums, gram[rows[place], first:last])


@njit(nogil=True, cache=True)
def _add(sums: Array, before: Array, products: Array) -> None:
    for k in range(len(sums)):
        sums[k] = before[k] + products[k]


@njit(nogil=True, cache=True)
def _find_smallest(values: Array, smallest: Array) -> None:
    for group in range(len(smallest)):
        smallest[group] = _smallest(values[group * GROUP : (group + 1) * GROUP])


@njit(nogil=True, cache=True)
def _keep(values: Array, smallest: Array, total: int, place: int, keys: Array) -> None:
    """Insert the values that are good enough into the sorted keys, and drop the last keys.

    ``smallest`` is filled with the smallest value of each group.
    """
    last, first_place = len(keys) - 1, place * len(values)
    _find_smallest(values, smallest)
    limit = _limit(keys[last], total)
    for group in range(len(smallest)):
        if smallest[group] < limit:
            for k in range(group * GROUP, min((group + 1) * GROUP, len(values))):
                if values[k] < limit:
                    key = ((total + np.int64(values[k])) << PLACE_BITS) + (first_place + k)
                    if key < keys[last]:
                        free = last
                        while free > 0 and keys[free - 1] > key:
                            keys[free] = keys[free - 1]
                            free -= 1
                        keys[free] = key
                        limit = _limit(keys[last], total)


@njit(nogil=True, inline="always")
def _limit(key: int, total: int) -> np.int32:
    """Return the bound below which a value has a key less than ``key``."""
    return np.int32(max(min((key >> PLACE_BITS) - total + 1, LARGEST_32), -LARGEST_32))  # type: ignore[no-any-return, arg-type]
