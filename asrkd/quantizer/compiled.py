"""The passes of :mod:`asrkd.quantizer.refinement` as machine code for CPUs, by numba.

It adds the same whole numbers and breaks ties alike, so its indexes are the
same to the last one; only the pace differs. Frames are taken one by one, so
all that is worked on stays in the processor's cache, and only the products
of entries that really occur in an option are looked up.

Letters: P passes, B frames, N codebooks, K entries of each, R = N * K rows,
O options of a choice, S of them of a single codebook.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from asrkd.quantizer.tables import LARGEST_DOT

Array = np.ndarray[Any, Any]


class Centers(NamedTuple):
    """What a search knows of the centres, and how wide it is."""

    gram: Array  # (R + 1, R + 1) int32, of the tables
    squares: Array  # (R,) int64, its diagonal
    units: float  # of the tables
    survivors: Array  # (levels,) int64: options that a choice of 1, 2, 4, ... codebooks keeps


class _Scratch(NamedTuple):
    """What is worked on for one frame after the other; "two" are before and after a merge."""

    current: Array  # (N,) rows of the entries chosen so far
    errors: Array  # (R,) products with the current entries, summed, less the one with the frame
    entries: Array  # (N, S) rows of the entries that survived singly
    options: Array  # (two, N, O, N) places in ``entries`` of a choice's codebooks, by codebook
    changes: Array  # (two, N, O) of the squared error, in units
    counts: Array  # (two, N) options of a choice
    ranked: Array  # (O,) places of the best so far
    columns: Array  # (N * S) rows of the right choice's entries that occur in an option
    numbers: Array  # (S,) of a codebook's entries among the columns, or -1
    of_options: Array  # (O, N) columns of a right option's entries
    products: Array  # (N * S, N * S) int32, of a left entry with the columns
    with_current: Array  # (N * S,) of a left entry with the right choice's current ones; NONE: not looked up
    sums: Array  # (N * S,) of an option's entries with the columns, less the current ones'


NONE = np.int64(-(2**62))


@njit(nogil=True, cache=True)
def refine_frames(dots: Array, centers: Centers, rounds: Array, changes: Array) -> None:
    """All passes over some frames, until a frame no longer changes.

    Args:
        dots: (B, R) float32, of the frames with the centres.
        centers: of the quantiser.
        rounds: (P + 1, B, N) uint8; the first are there, the others are filled in.
        changes: (P, B) int64, zeros; filled with those of the squared errors, in units.
    """
    num_codebooks = rounds.shape[2]
    codebook_size = dots.shape[1] // num_codebooks
    work = _scratch(num_codebooks, codebook_size, centers.survivors)
    for frame in range(len(dots)):
        _start(dots[frame], centers, rounds[0, frame], work)
        for number in range(len(changes)):
            _single_options(centers, codebook_size, work)
            side = _merge_all(centers, work)
            moved = False
            for n in range(num_codebooks):
                row = work.entries[n, work.options[side, 0, 0, n]]
                rounds[number + 1, frame, n] = row - n * codebook_size
                if row != work.current[n]:
                    _replace(centers.gram[work.current[n]], centers.gram[row], work.errors)
                    work.current[n], moved = row, True
            changes[number, frame] = work.changes[side, 0, 0]
            if not moved:  # a pass is a function of the frame and its indexes
                rounds[number + 2 :, frame] = rounds[number + 1, frame]
                break


@njit(nogil=True, cache=True)
def _scratch(num_codebooks: int, codebook_size: int, survivors: Array) -> _Scratch:
    single, most = min(survivors[0], codebook_size), max(survivors.max(), 1)
    wide = num_codebooks * single
    return _Scratch(
        np.empty(num_codebooks, np.int64),
        np.empty(num_codebooks * codebook_size, np.int64),
        np.empty((num_codebooks, single), np.int64),
        np.empty((2, num_codebooks, most, num_codebooks), np.int16),
        np.empty((2, num_codebooks, most), np.int64),
        np.empty((2, num_codebooks), np.int64),
        np.empty(most, np.int64),
        np.empty(wide, np.int64),
        np.empty(single, np.int64),
        np.empty((most, num_codebooks), np.int16),
        np.empty((wide, wide), np.int32),
        np.empty(wide, np.int64),
        np.empty(wide, np.int64),
    )


@njit(nogil=True, cache=True)
def _start(dots: Array, centers: Centers, indexes: Array, work: _Scratch) -> None:
    """Take up a frame with its first indexes."""
    codebook_size = len(dots) // len(indexes)
    for row in range(len(dots)):
        dot = np.float64(dots[row]) * centers.units
        work.errors[row] = -np.int64(np.rint(min(max(dot, -LARGEST_DOT), LARGEST_DOT)))
    for n in range(len(indexes)):
        work.current[n] = n * codebook_size + indexes[n]
        products = centers.gram[work.current[n]]
        for row in range(len(dots)):
            work.errors[row] += products[row]


@njit(nogil=True, cache=True)
def _replace(before: Array, after: Array, errors: Array) -> None:
    for row in range(len(errors)):
        errors[row] += np.int64(after[row]) - np.int64(before[row])


@njit(nogil=True, cache=True)
def _single_options(centers: Centers, codebook_size: int, work: _Scratch) -> None:
    """The best entries of every codebook, each tried with the other codebooks kept."""
    most = work.entries.shape[1]
    for n in range(len(work.current)):
        first, now = n * codebook_size, work.current[n]
        own, values, held = centers.gram[now], work.changes[0, n], 0
        before = centers.squares[now] + 2 * (work.errors[now] - own[now])
        for row in range(first, first + codebook_size):
            value = centers.squares[row] + 2 * (work.errors[row] - own[row]) - before
            if held < most or value < values[held - 1]:
                held = _rank(value, row, held, most, values, work.entries[n])
        work.counts[0, n] = held
        for option in range(held):
            work.options[0, n, option, n] = option


@njit(nogil=True, cache=True)
def _rank(value: int, place: int, held: int, most: int, values: Array, places: Array) -> int:
    """Put a value among the ``most`` smallest in their order, after its equals; how many there are then."""
    at = held if held < most else most - 1
    while at > 0 and values[at - 1] > value:
        values[at], places[at] = values[at - 1], places[at - 1]
        at -= 1
    values[at], places[at] = value, place
    return min(held + 1, most)


@njit(nogil=True, cache=True)
def _merge_all(centers: Centers, work: _Scratch) -> int:
    """Merge neighbours until one choice is left; on which of the two sides it is."""
    side, span, level, num_codebooks = 0, 1, 0, len(work.current)
    while span < num_codebooks:
        level += 1
        for choice in range((num_codebooks + 2 * span - 1) // (2 * span)):
            first = 2 * choice * span
            if first + span < num_codebooks:
                _merge(centers, work, side, (choice, span), centers.survivors[level])
            else:  # an odd one stays as it is
                count = work.counts[side, 2 * choice]
                work.counts[1 - side, choice] = count
                work.changes[1 - side, choice, :count] = work.changes[side, 2 * choice, :count]
                work.options[1 - side, choice, :count] = work.options[side, 2 * choice, :count]
        side, span = 1 - side, 2 * span
    return side


@njit(nogil=True, cache=True)
def _merge(centers: Centers, work: _Scratch, side: int, where: tuple[int, int], survivors: int) -> None:
    """The best pairs of options of two neighbours, as options of one choice on the other side.

    With d the moves of an option's entries, ||e + a + b||^2 - ||e||^2 is what
    a and b change alone, and twice the sum of <d, d'> over their codebooks.
    """
    choice, span = where
    left, right, start = 2 * choice, 2 * choice + 1, 2 * choice * span
    middle = start + span
    num_columns = _find_columns(work, side, right, middle, span)
    width, held, right_span = work.counts[side, right], 0, min(span, len(work.current) - middle)
    best = work.changes[1 - side, choice]
    for option in range(work.counts[side, left]):
        still = _sum_products(centers, work, work.options[side, left, option], (start, middle), num_columns)
        change = work.changes[side, left, option] + 2 * still
        for other in range(width):
            cross = np.int64(0)
            for v in range(right_span):
                cross += work.sums[work.of_options[other, v]]
            value = change + work.changes[side, right, other] + 2 * cross
            if held < survivors or value < best[held - 1]:
                held = _rank(value, option * width + other, held, survivors, best, work.ranked)
    work.counts[1 - side, choice] = held
    for number in range(held):
        pair = work.ranked[number]
        merged = work.options[1 - side, choice, number]
        merged[start:middle] = work.options[side, left, pair // width, start:middle]
        merged[middle : middle + span] = work.options[side, right, pair % width, middle : middle + span]


@njit(nogil=True, cache=True)
def _find_columns(work: _Scratch, side: int, choice: int, first: int, span: int) -> int:
    """Number the entries that occur in the options of a right choice; forget the left one's products."""
    count, single = 0, work.entries.shape[1]
    work.with_current[(first - span) * single : first * single] = NONE
    for n in range(first, min(first + span, len(work.entries))):
        work.numbers[:] = -1
        for option in range(work.counts[side, choice]):
            entry = work.options[side, choice, option, n]
            if work.numbers[entry] < 0:
                work.numbers[entry] = count
                work.columns[count] = work.entries[n, entry]
                count += 1
            work.of_options[option, n - first] = work.numbers[entry]
    return count


@njit(nogil=True, cache=True)
def _sum_products(
    centers: Centers, work: _Scratch, entries: Array, bounds: tuple[int, int], num_columns: int
) -> int:
    """Fill ``sums`` with the products of a left option's moves with the columns.

    Given is minus those with the current entries: to be added to the sum over a right option's columns.
    """
    (start, middle), single, still = bounds, work.entries.shape[1], np.int64(0)
    sums = work.sums[:num_columns]
    sums[:] = 0
    for n in range(start, middle):
        row, now = work.entries[n, entries[n]], work.current[n]
        if row == now:  # it does not move
            continue
        own = n * single + entries[n]
        products = work.products[own]
        if work.with_current[own] == NONE:
            work.with_current[own] = _look_up(
                centers.gram[row], centers.gram[now], work, bounds, products, num_columns
            )
        still -= work.with_current[own]
        for column in range(num_columns):
            sums[column] += products[column]
    return still


@njit(nogil=True, cache=True)
def _look_up(
    after: Array, before: Array, work: _Scratch, bounds: tuple[int, int], products: Array, num_columns: int
) -> int:
    """Products of the move from one entry to another with the columns; with the current entries, summed."""
    start, middle = bounds
    for column in range(num_columns):
        row = work.columns[column]
        products[column] = after[row] - before[row]
    total = np.int64(0)
    for n in range(middle, min(2 * middle - start, len(work.current))):
        total += np.int64(after[work.current[n]]) - np.int64(before[work.current[n]])
    return total
