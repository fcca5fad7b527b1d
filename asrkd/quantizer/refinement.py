"""One refinement pass: better entries for all codebooks of a direct-sum quantiser at once.

Source: Guo et al., arXiv:2211.00508, section 2 (Refine): every entry of every
codebook is tried with the others kept, the best few survive, neighbouring
codebooks are merged into one of all pairs of survivors, and so on until one
choice is left. How many survive is that of the ``multi_quantization``
package, whose indexes this reproduces.

Departures: codebooks of 2, 4 and 8 entries work too (there nothing is pruned
at first); the vectors of a pair are built only if the pair survives.

A pass usually lowers the error but need not: each choice was ranked as if
the others stayed. :func:`squared_errors` lets the caller check.

Letters: B frames, N codebooks, K entries of each, D dimensions, C choices
left, O options of each, L codebooks that a choice spans.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding

MOST_SURVIVORS = 128  # options of a choice, whatever its span; multi_quantization's cap


@dataclass(frozen=True)
class _Options:
    """What every choice may become, relative to the indexes that the pass started from."""

    entries: Tensor  # (B, C, O, L) indexes of the L codebooks of each choice
    errors: Tensor  # (B, C, O) squared error if this choice alone becomes that
    deltas: Tensor  # (B, C, O, D) by which the decoded vector would move


def refine(embeddings: Tensor, centers: Tensor, indexes: Tensor, *, survivors: int | None = None) -> Tensor:
    """Indexes after one pass, (B, N) int64.

    Args:
        embeddings: (B, D) what is to be approximated.
        centers: (N, K, D) what the entries stand for; N a power of two.
        indexes: (B, N) int64, the entries chosen so far.
        survivors: options of a single codebook that are kept; choices of L
            codebooks keep twice as many for every factor 4 of L, up to 128.
            By default 8 where K <= 16, else 16. At K or more, two
            codebooks are searched completely.
    """
    num_codebooks, codebook_size = centers.shape[:2]
    base = survivors if survivors is not None else (8 if codebook_size <= 16 else 16)
    current = look_up(centers, indexes)  # (B, N, D)
    excess = current.sum(dim=1) - embeddings  # (B, D)
    squared = excess.square().sum(dim=-1)  # (B,)
    options = _single_options(centers, current, excess, _num_survivors(base, 1, num_codebooks))
    span = 1
    while span < num_codebooks:
        span *= 2
        options = _merge(options, squared, _num_survivors(base, span, num_codebooks))
    return options.entries[:, 0, 0]


def look_up(centers: Tensor, indexes: Tensor) -> Tensor:
    """The chosen entries' vectors, (B, N, D), of centers (N, K, D) and indexes (B, N)."""
    return embedding(indexes + _first_rows(centers), centers.flatten(0, 1))


def _first_rows(centers: Tensor) -> Tensor:
    """Row of every codebook's entry 0 in centers (N, K, D) seen as (N * K, D): (N,)."""
    num_codebooks, codebook_size, _ = centers.shape
    return torch.arange(0, num_codebooks * codebook_size, codebook_size, device=centers.device)


def squared_errors(embeddings: Tensor, centers: Tensor, indexes: Tensor) -> Tensor:
    """Squared distance of each frame from the sum of its entries, (B,)."""
    return (look_up(centers, indexes).sum(dim=1) - embeddings).square().sum(dim=-1)


def _num_survivors(base: int, span: int, num_codebooks: int) -> int:
    if span == num_codebooks:
        return 1
    factors_of_four = (span.bit_length() - 1) // 2
    return min(base << factors_of_four, max(MOST_SURVIVORS, base))


def _single_options(centers: Tensor, current: Tensor, excess: Tensor, count: int) -> _Options:
    """The best entries of every codebook, each tried with the other codebooks kept."""
    others = excess[:, None] - current  # (B, N, D): the excess without codebook n
    dots = torch.bmm(others.transpose(0, 1), centers.transpose(1, 2)).transpose(0, 1)  # (B, N, K)
    errors = others.square().sum(dim=-1, keepdim=True) + centers.square().sum(dim=-1) + 2 * dots
    best, entries = _smallest(errors, count)  # (B, N, O)
    first = _first_rows(centers)[:, None]
    deltas = embedding(entries + first, centers.flatten(0, 1)).sub_(current[:, :, None])
    return _Options(entries[..., None], best, deltas)


def _merge(options: _Options, squared: Tensor, count: int) -> _Options:
    """The best pairs of options of choices 2c and 2c + 1, as options of one choice.

    ||e + a + b||^2 = ||e + a||^2 + ||e + b||^2 - ||e||^2 + 2 <a, b>.
    """
    batch, choices, width, dim = options.deltas.shape
    pairs_of = options.deltas.view(-1, 2, width, dim)  # (B * C/2, 2, O, D)
    dots = torch.bmm(pairs_of[:, 0], pairs_of[:, 1].transpose(1, 2)).view(batch, -1, width, width)
    errors = options.errors[:, 0::2, :, None] + options.errors[:, 1::2, None, :] + 2 * dots
    best, pairs = _smallest(errors.flatten(2) - squared[:, None, None], count)  # (B, C/2, O')
    left = torch.div(pairs, width, rounding_mode="floor")
    right = pairs - left * width
    first = torch.arange(0, batch * choices * width, 2 * width, device=pairs.device).view(batch, -1, 1)
    even, odd = first + left, first + width + right  # rows of (B * C * O, D)
    entries, deltas = options.entries.flatten(0, 2), options.deltas.flatten(0, 2)
    return _Options(
        torch.cat([embedding(even, entries), embedding(odd, entries)], dim=-1),
        best,
        embedding(even, deltas).add_(embedding(odd, deltas)),
    )


def _smallest(errors: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Values and places of the ``count`` smallest (or all) along the last axis, in any order."""
    best, places = errors.topk(min(count, errors.shape[-1]), dim=-1, largest=False, sorted=False)
    return best, places
