"""Refinement passes of :mod:`asrkd.quantizer.search.refinement` as machine code for CPUs, by numba.

Both implementations add the same whole numbers and break ties alike, so their
indexes are equal. Frames are searched one by one, so that all arrays stay in
the processor's cache, and only products of entries that occur in an option are
looked up.

Notation: P passes, B frames, N codebooks, K entries of each, R = N * K rows,
O options of a choice, S of them of a single codebook.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from asrkd.quantizer.search.refinement import MAX_SURVIVORS, PLACES
from asrkd.quantizer.search.tables import LARGEST_DOT

Array = np.ndarray[Any, Any]


class Centers(NamedTuple):
    """Tables of the centers, and the width of the search."""

    gram: Array  # (R + 1, R + 1) int32, of the tables
    squares: Array  # (R,) int64, its diagonal
    units: float  # of the tables
    survivors: Array  # (levels,) int64: options kept by a choice of 1, 2, 4, ... codebooks


class _Scratch(NamedTuple):
    """Work arrays, reused for every frame; "two" are the sides before and after a merge."""

    current: Array  # (N,) rows of the entries chosen so far
    errors: Array  # (R,) products with the current entries, summed, less the one with the frame
    entries: Array  # (N, S) rows of the entries that survived singly
    options: Array  # (two, N, O, N) places in ``entries`` of a choice's codebooks, by codebook
    changes: Array  # (two, N, O) of the squared error, in units
    counts: Array  # (two, N) options of a choice
    keys: Array  # (O,) of the best so far, ascending; a key is value * PLACES + place, so none are equal
    columns: Array  # (N * S) rows of the right choice's entries that occur in an option
    numbers: Array  # (S,) columns of a codebook's entries, or -1
    of_options: Array  # (N, O) columns of the right options' entries
    values: Array  # (K,) keys of the entries of a codebook
    pairs: Array  # (O,) sums of products of a left option's moves with those of the right ones
    before: Array  # (N * S,) int32, products of a current entry with the columns
    products: Array  # (N * S, N * S) int32, of a left entry with the columns
    with_current: Array  # (N * S,) of a left entry with the right choice's current ones; NONE: not computed
    sums: Array  # (N * S,) of an option's entries with the columns, less the current ones'


NONE = np.int64(-(2**62))
LARGEST_KEY = np.int64(2**62)


@njit(nogil=True, cache=True)
def refine_frames(dots: Array, centers: Centers, rounds: Array, changes: Array) -> None:
    """Refine the indexes of some frames, each until it no longer changes.

    Args:
        dots: (B, R) float32, inner products of the frames with the centers.
        centers: tables of the quantizer's centers.
        rounds: (P + 1, B, N) uint8; the first round is the input, the others are filled in.
        changes: (P, B) int64, zeros; filled with the changes of the squared errors, in units.
    """
    num_codebooks = rounds.shape[2]
    codebook_size = dots.shape[1] // num_codebooks
    work = _scratch(num_codebooks, codebook_size, centers.survivors)
    for n in range(num_codebooks):
        for option in range(work.entries.shape[1]):
            work.entries[n, option] = n * codebook_size + option
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
    single, widest = min(survivors[0], codebook_size), max(survivors.max(), 1)
    all_entries = num_codebooks * single
    return _Scratch(
        current=np.empty(num_codebooks, np.int64),
        errors=np.empty(num_codebooks * codebook_size, np.int64),
        entries=np.empty((num_codebooks, single), np.int64),
        options=np.empty((2, num_codebooks, widest, num_codebooks), np.int16),
        changes=np.empty((2, num_codebooks, widest), np.int64),
        counts=np.empty((2, num_codebooks), np.int64),
        keys=np.empty(widest, np.int64),
        columns=np.empty(all_entries, np.uint32),
        numbers=np.empty(single, np.int64),
        of_options=np.empty((num_codebooks, widest), np.uint16),
        values=np.empty(codebook_size, np.int64),
        pairs=np.empty(widest, np.int64),
        before=np.empty(all_entries, np.int32),
        products=np.empty((all_entries, all_entries), np.int32),
        with_current=np.empty(all_entries, np.int64),
        sums=np.empty(all_entries, np.int64),
    )


@njit(nogil=True, cache=True)
def _start(dots: Array, centers: Centers, indexes: Array, work: _Scratch) -> None:
    """Take up a frame with its first indexes."""
    codebook_size = len(dots) // len(indexes)
    for row in range(len(dots)):
        dot = np.float64(dots[row]) * centers.units
        work.errors[row] = -np.int64(np.rint(min(max(dot, -LARGEST_DOT), LARGEST_DOT)))  # type: ignore[arg-type]
    for n in range(len(indexes)):
        work.current[n] = n * codebook_size + indexes[n]
    in_fours = len(indexes) - len(indexes) % 4
    for n in range(0, in_fours, 4):  # four reads of memory at once
        _add_four(centers.gram, work.current[n : n + 4], work.errors)
    for n in range(in_fours, len(indexes)):
        products = centers.gram[work.current[n]]
        for row in range(len(dots)):
            work.errors[row] += products[row]


@njit(nogil=True, cache=True)
def _add_four(gram: Array, rows: Array, errors: Array) -> None:
    one, two, three, four = gram[rows[0]], gram[rows[1]], gram[rows[2]], gram[rows[3]]
    for row in range(len(errors)):
        # Each as 64 bits, or two sums of products would not fit.
        errors[row] += (np.int64(one[row]) + two[row]) + (np.int64(three[row]) + four[row])


@njit(nogil=True, cache=True)
def _replace(before: Array, after: Array, errors: Array) -> None:
    for row in range(len(errors)):
        errors[row] += np.int64(after[row]) - np.int64(before[row])


@njit(nogil=True, cache=True)
def _single_options(centers: Centers, codebook_size: int, work: _Scratch) -> None:
    """Find the best entries of every codebook, with the other codebooks unchanged."""
    count, values, squares, errors = work.entries.shape[1], work.values, centers.squares, work.errors
    keys = work.keys
    for n in range(len(work.current)):
        first, now = n * codebook_size, work.current[n]
        products, before = centers.gram[now], squares[now] + 2 * (errors[now] - centers.gram[now, now])
        for k in range(codebook_size):
            value = squares[first + k] + 2 * (errors[first + k] - products[first + k]) - before
            values[k] = value * PLACES + k
        _forget(keys, count)
        for option in range(count):  # the best of the previous pass are likely to be the best again
            k = work.entries[n, option] - first
            _insert(values[k], keys, count)
            values[k] = LARGEST_KEY
        for k in range(codebook_size):
            if values[k] < keys[count - 1]:
                _insert(values[k], keys, count)
        work.counts[0, n] = count
        for option in range(count):
            work.entries[n, option] = first + (keys[option] & (PLACES - 1))
            work.changes[0, n, option] = keys[option] // PLACES
            work.options[0, n, option, n] = option


@njit(nogil=True, inline="always")
def _forget(keys: Array, count: int) -> None:
    for place in range(count):
        keys[place] = LARGEST_KEY


@njit(nogil=True, inline="always")
def _insert(key: int, keys: Array, count: int) -> None:
    """Insert a key into the sorted ``count`` smallest, and drop the last one."""
    place = count - 1
    while place > 0 and keys[place - 1] > key:
        keys[place] = keys[place - 1]
        place -= 1
    keys[place] = key


@njit(nogil=True, cache=True)
def _merge_all(centers: Centers, work: _Scratch) -> int:
    """Merge neighbors until one choice is left; return the side that it is on."""
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
    """Write the best pairs of options of two neighbors, as options of one choice on the other side.

    Let d be the moves of an option's entries. Then ||e + a + b||^2 - ||e||^2 is
    the change by a alone, plus that by b alone, plus twice the sum of <d, d'>
    over their codebooks.
    """
    choice, span = where
    left, right, start = 2 * choice, 2 * choice + 1, 2 * choice * span
    middle, width, keys = start + span, work.counts[side, right], work.keys
    bounds = (start, middle, _find_columns(work, side, right, middle, span))
    count = work.counts[side, left]
    kept = min(survivors, count * width)
    _look_up(centers.gram, work, side, count, bounds)
    _forget(keys, kept)
    for option in range(count):
        change = work.changes[side, left, option] + 2 * _sum_products(work, side, option, bounds)
        _sum_pairs(work, min(span, len(work.current) - middle), width)
        for other in range(width):
            value = change + work.changes[side, right, other] + 2 * work.pairs[other]
            work.pairs[other] = value * PLACES + (option * MAX_SURVIVORS + other)
        for other in range(width):
            if work.pairs[other] < keys[kept - 1]:
                _insert(work.pairs[other], keys, kept)
    work.counts[1 - side, choice] = kept
    for number in range(kept):
        place = keys[number] & (PLACES - 1)
        first, second = place // MAX_SURVIVORS, place & (MAX_SURVIVORS - 1)
        work.changes[1 - side, choice, number] = keys[number] // PLACES
        for n in range(start, middle):
            work.options[1 - side, choice, number, n] = work.options[side, left, first, n]
        for n in range(middle, min(middle + span, len(work.current))):
            work.options[1 - side, choice, number, n] = work.options[side, right, second, n]


@njit(nogil=True, inline="always")
def _sum_pairs(work: _Scratch, span: int, width: int) -> None:
    """Fill ``pairs`` with the sums over the columns of the right options."""
    pairs, sums, columns = work.pairs, work.sums, work.of_options
    for other in range(width):
        pairs[other] = sums[columns[0, other]]
    for v in range(1, span):
        for other in range(width):
            pairs[other] += sums[columns[v, other]]


@njit(nogil=True, inline="always")
def _find_columns(work: _Scratch, side: int, choice: int, first: int, span: int) -> int:
    """Number the entries in the options of a right choice; clear the products of the left one."""
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
            work.of_options[n - first, option] = work.numbers[entry]
    return count


@njit(nogil=True, inline="always")
def _look_up(gram: Array, work: _Scratch, side: int, count: int, bounds: tuple[int, int, int]) -> None:
    """Compute the products of all moves in the options of a left choice, at once, as memory is slow."""
    (start, middle, num_columns), single = bounds, work.entries.shape[1]
    choice, columns, current = start // (middle - start), work.columns, work.current
    products, before = work.products, work.before
    for n in range(start, middle):
        now = current[n]
        for column in range(num_columns):
            before[column] = gram[now, columns[column]]
        for option in range(count):
            entry = work.options[side, choice, option, n]
            place, row = n * single + entry, work.entries[n, entry]
            if row == now or work.with_current[place] != NONE:
                continue
            total = np.int64(0)
            for m in range(middle, min(2 * middle - start, len(current))):
                total += np.int64(gram[row, current[m]]) - np.int64(gram[now, current[m]])
            work.with_current[place] = total
            for column in range(num_columns):
                products[place, column] = gram[row, columns[column]] - before[column]


@njit(nogil=True, inline="always")
def _sum_products(work: _Scratch, side: int, option: int, bounds: tuple[int, int, int]) -> int:
    """Fill ``sums`` with the products of a left option's moves with the columns.

    Returns minus the products with the current entries, which are added to the sum over a right option's
    columns.
    """
    (start, middle, num_columns), single, still = bounds, work.entries.shape[1], np.int64(0)
    choice, sums, products = start // (middle - start), work.sums, work.products
    for column in range(num_columns):
        sums[column] = 0
    for n in range(start, middle):
        entry = work.options[side, choice, option, n]
        place = n * single + entry
        if work.entries[n, entry] == work.current[n]:  # no move
            continue
        still -= work.with_current[place]
        for column in range(num_columns):
            sums[column] += products[place, column]
    return still  # type: ignore[return-value]
