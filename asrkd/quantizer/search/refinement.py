"""Refinement passes: better entries for all codebooks of a direct-sum quantizer at once.

Source: Guo et al., arXiv:2211.00508, section 2 (Refine): every entry of every
codebook is tried with the others unchanged, the best entries survive,
neighboring codebooks are merged into one of all pairs of survivors, and so on
until one choice is left. The numbers of survivors are those of the
``multi_quantization`` package, whose indexes this reproduces.

Departures: inner products in whole numbers (:mod:`asrkd.quantizer.search.tables`)
replace the vectors of all options that the package builds; the number and size
of codebooks are arbitrary (an odd one is merged with an empty one).

A pass usually lowers the error, but can raise it: each choice is ranked as if
the others did not change. The changes of the error are returned for this reason.

This implementation in torch runs on any device;
:mod:`asrkd.quantizer.search.refinement_numba` is many times as fast on CPUs where
numba is installed.

Notation: B frames, N codebooks, K entries of each, R = N * K rows, C choices
left, O options of each, L codebooks that a choice spans.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.quantizer.search.tables import CenterTables

MAX_SURVIVORS = 128  # options of a choice of any span, as in multi_quantization
PLACES = 2**14  # >= MAX_SURVIVORS^2; values are ranked as value * PLACES + place, so that none are equal
IMPOSSIBLE = 2**47  # above the error of every real option
FRAMES_AT_ONCE = {"cpu": 16, "cuda": 1024}  # a frame takes about 4 N R bytes of work memory


@dataclass(frozen=True)
class _Options:
    """Options of every choice, relative to the indexes at the start of the pass."""

    entries: Tensor  # (B, N, S) rows of the S entries that survived in each codebook
    places: Tensor  # (B, C, O, L) in ``entries``, of the choice's codebooks
    changes: Tensor  # (B, C, O) of the squared error if this choice alone takes the option, in units


def refine_rounds(
    dots: Tensor, tables: CenterTables, indexes: Tensor, passes: int, survivors: int | None = None
) -> tuple[Tensor, Tensor]:
    """Refine indexes by a number of passes.

    Args:
        dots: (B, R) inner products of the frames with the centers.
        tables: tables of the centers.
        indexes: (B, N) indexes of the entries chosen so far.
        passes: number of passes, 0 or more.
        survivors: options that a single codebook keeps; choices of L codebooks
            keep twice as many for every factor 4 of L, up to 128. By default 8
            where K <= 16, else 16; at most 128. At K or more, two codebooks are
            searched completely.

    Returns:
        Indexes after 0, 1, ... passes, (passes + 1, B, N) uint8, and the changes of the squared error by
        each pass, (passes, B) int64 in units.
    """
    base = survivors or default_survivors(tables.codebook_size)
    rounds = indexes.to(torch.uint8).repeat(passes + 1, 1, 1)
    changes = indexes.new_zeros((passes, len(indexes)), dtype=torch.long)
    for frames in torch.arange(len(indexes), device=dots.device).split(
        FRAMES_AT_ONCE.get(dots.device.type, 16)
    ):
        whole, now = tables.whole(dots[frames]), indexes[frames].long()
        for number in range(passes):
            after, change = _refine(whole, tables, now, base)
            # A pass is a function of the frame and its indexes: unchanged once is unchanged forever.
            moved = (after != now).any(dim=1)
            rounds[number + 1 :, frames] = after.to(torch.uint8)
            changes[number, frames] = change
            frames, whole, now = frames[moved], whole[moved], after[moved]
            if not len(frames):
                break
    return rounds, changes


def default_survivors(codebook_size: int) -> int:
    """Return the number of options that a single codebook keeps in ``multi_quantization``."""
    return 8 if codebook_size <= 16 else 16


def num_survivors(base: int, span: int, num_codebooks: int) -> int:
    """Return the number of options that a choice of ``span`` codebooks keeps if a single one keeps ``base``.

    A choice of all codebooks keeps 1.
    """
    if span >= num_codebooks:
        return 1
    factors_of_four = (span.bit_length() - 1) // 2
    return min(base << factors_of_four, max(MAX_SURVIVORS, base))


def _refine(dots: Tensor, tables: CenterTables, indexes: Tensor, base: int) -> tuple[Tensor, Tensor]:
    current = indexes + tables.first_rows  # (B, N)
    options = _single_options(dots, tables, current, num_survivors(base, 1, tables.num_codebooks))
    span = 1
    while span < tables.num_codebooks:
        if options.places.shape[1] % 2:
            options, current = _with_spare(options, current, span, len(tables.gram) - 1)
        span *= 2
        options = _merge(options, tables.gram, current, num_survivors(base, span, tables.num_codebooks))
    best = options.places[:, 0, 0, : tables.num_codebooks, None]
    rows = options.entries[:, : tables.num_codebooks].gather(2, best)[..., 0]
    return rows - tables.first_rows, options.changes[:, 0, 0]


def _single_options(dots: Tensor, tables: CenterTables, current: Tensor, count: int) -> _Options:
    """Find the best entries of every codebook, with the other codebooks unchanged."""
    num_codebooks, codebook_size = tables.num_codebooks, tables.codebook_size
    of_current = tables.gram[current][..., :-1]  # (B, N, R)
    total = of_current.sum(dim=1, dtype=torch.long).unflatten(-1, (num_codebooks, codebook_size))
    blocks = of_current.unflatten(-1, (num_codebooks, codebook_size))
    # (B, N, K): products of a codebook's entries with its current one.
    within = blocks.diagonal(dim1=1, dim2=2).movedim(-1, 1).long()
    squares = tables.squares.view(num_codebooks, codebook_size)
    errors = squares + 2 * (total - within - dots.view_as(total))
    before = errors.gather(-1, (current - tables.first_rows)[..., None])
    changes, entries = _smallest(errors - before, count)
    places = torch.arange(changes.shape[-1], device=dots.device).expand_as(changes)
    return _Options(entries + tables.first_rows[:, None], places[..., None], changes)


def _with_spare(options: _Options, current: Tensor, span: int, zero_row: int) -> tuple[_Options, Tensor]:
    """Add a choice of empty codebooks to an odd number of choices."""
    entries, places, changes = options.entries, options.places[:, :1], options.changes[:, :1]
    impossible = torch.full_like(changes, IMPOSSIBLE)
    impossible[..., 0] = 0
    spare = entries.new_full((len(entries), span, entries.shape[2]), zero_row)
    return _Options(
        torch.cat([entries, spare], dim=1),
        torch.cat([options.places, torch.zeros_like(places)], dim=1),
        torch.cat([options.changes, impossible], dim=1),
    ), torch.cat([current, spare[..., 0]], dim=1)


def _merge(options: _Options, gram: Tensor, current: Tensor, count: int) -> _Options:
    """Return the best pairs of options of choices 2c and 2c + 1, as options of one choice.

    Let d be the moves of an option's entries. Then ||e + a + b||^2 - ||e||^2 is
    the change by a alone, plus that by b alone, plus twice the sum of <d, d'>
    over their codebooks.
    """
    batch, choices, width, span = options.places.shape
    places = options.places.view(batch, -1, 2, width, span)
    left, right = places.unbind(dim=2)  # (B, C/2, O, L)
    changes = options.changes.view(batch, -1, 2, width)
    together = changes[:, :, 0, :, None] + changes[:, :, 1, None, :]  # (B, C/2, O, O)
    products = _products_of_moves(options.entries, gram, current, span)  # (B, C/2, L * S, L * S)
    single = options.entries.shape[2]
    sums = torch.zeros_like(products[:, :, :1]).expand(-1, -1, width, -1)
    for u in range(span):  # of a left option's moves, with the moves to all right entries
        rows = (left[..., u, None] + u * single).expand(-1, -1, -1, span * single)
        sums = sums + products.gather(2, rows)
    for v in range(span):
        columns = (right[..., v] + v * single)[:, :, None].expand(-1, -1, width, -1)
        together += 2 * sums.gather(3, columns)
    together.clamp_(max=IMPOSSIBLE)  # an option that is impossible twice must fit a key
    best, pairs = _smallest(together.flatten(2), count)  # (B, C/2, O')
    first = torch.div(pairs, width, rounding_mode="floor")
    of_first = left.gather(2, first[..., None].expand(-1, -1, -1, span))
    of_second = right.gather(2, (pairs - first * width)[..., None].expand(-1, -1, -1, span))
    return _Options(options.entries, torch.cat([of_first, of_second], dim=-1), best)


def _products_of_moves(entries: Tensor, gram: Tensor, current: Tensor, span: int) -> Tensor:
    """Return <a - a0, b - b0> of the entries a of choices 2c and b of 2c + 1, (B, C/2, L * S, L * S) int64.

    ``entries`` are (B, N, S), where L divides N; a0 and b0 are their codebooks' ``current`` entries, (B, N).
    """
    batch, _, single = entries.shape
    rows = entries.view(batch, -1, 2, span * single)
    now = current[..., None].expand_as(entries).reshape_as(rows)
    (left, right), (left_now, right_now) = rows.unbind(dim=2), now.unbind(dim=2)
    left, right, left_now, right_now = (
        left[..., None],
        right[..., None, :],
        left_now[..., None],
        right_now[..., None, :],
    )
    moved = gram[left, right] - gram[left_now, right] - gram[left, right_now]
    return (moved + gram[left_now, right_now]).long()


def _smallest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return values and places of the ``count`` smallest (or all) along the last axis, ties by place."""
    places = torch.arange(values.shape[-1], device=values.device)
    ranks = (
        (values * PLACES + places).topk(min(count, len(places)), dim=-1, largest=False, sorted=True).values
    )
    best = torch.div(ranks, PLACES, rounding_mode="floor")
    return best, ranks - best * PLACES
