"""Tables of the inner products of a quantizer's centers in whole numbers, for the search for indexes.

The squared distance of a frame x from the sum of its entries is

    ||x||^2 - 2 sum_n <x, c_n> + sum_n sum_m <c_n, c_m>,

so with the products of the centers with each other, computed once, and of
the frames with the centers, one matrix product for all frames, a search adds
numbers and needs no vector of D dimensions. The products are rounded to whole
multiples of a unit, 2^-28 of the largest center's square (float32 has 2^-24 of
each). Sums of whole numbers do not depend on their order, so every
implementation returns the same indexes, in batches of any size.

Notation: B frames, N codebooks, K entries of each, D dimensions, R = N * K rows.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

LARGEST = 2**28  # of the products of centers; sums over 64 codebooks, with a place, fit 64 bits
COARSER = 14  # bits between a unit and a coarse one: products in coarse units fit 16 bits, sums 32
LARGEST_DOT = 2.0**38  # of a frame with a center; larger ones are far from the data


@dataclass(frozen=True)
class CenterTables:
    """Tables of the inner products of centers."""

    gram: Tensor  # (R + 1, R + 1) int32, in units; the last row is that of a zero center
    num_codebooks: int
    codebook_size: int
    units: float  # number of units in 1

    @classmethod
    @torch.no_grad()
    def of(cls, centers: Tensor) -> "CenterTables":
        """Compute tables of centers (N, K, D), 4 R^2 bytes: 17 MB for N = 8 and K = 256, 1 GB for N = 64."""
        num_codebooks, codebook_size, _ = centers.shape
        flat = centers.flatten(0, 1)
        products = flat @ flat.T
        units = LARGEST / max(float(products.diagonal().max()), torch.finfo(torch.float32).tiny)
        size = len(flat) + 1
        gram = torch.zeros(size, size, dtype=torch.int32, device=centers.device)
        for start in range(0, len(flat), 1024):  # in blocks, as float64 takes twice the memory
            rows = products[start : start + 1024].double().mul_(units).round_()
            gram[start : start + len(rows), :-1] = rows.to(torch.int32)
        return cls(gram, num_codebooks, codebook_size, units)

    @cached_property
    def squares(self) -> Tensor:
        """(R,) int64, squares of the centers in units."""
        return self.gram.diagonal()[:-1].long()

    @cached_property
    def coarse(self) -> Tensor:
        """(R, R) int16, products of the centers in coarse units; 2 R^2 bytes more."""
        return (self.gram[:-1, :-1] >> COARSER).to(torch.int16)

    @property
    def coarse_units(self) -> float:
        """Number of coarse units in 1."""
        return self.units / float(2**COARSER)

    @cached_property
    def coarse_halves(self) -> Tensor:
        """(R,) int64, half of the squares of the centers in coarse units."""
        return self.squares >> (COARSER + 1)

    @cached_property
    def first_rows(self) -> Tensor:
        """(N,) rows of entry 0 of every codebook."""
        size = self.num_codebooks * self.codebook_size
        return torch.arange(0, size, self.codebook_size, device=self.gram.device)

    def whole(self, dots: Tensor) -> Tensor:
        """Round dots (B, R) of frames with the centers to whole units, int64."""
        return dots.double().mul_(self.units).clamp_(-LARGEST_DOT, LARGEST_DOT).round_().long()


def dots_of(embeddings: Tensor, centers: Tensor) -> Tensor:
    """Return <x, c> of embeddings (B, D) and centers (N, K, D), (B, R)."""
    return embeddings @ centers.flatten(0, 1).T


def sum_entries(centers: Tensor, indexes: Tensor) -> Tensor:
    """Sum the chosen entries, (B, D), of centers (N, K, D) and indexes (B, N)."""
    num_codebooks, codebook_size, _ = centers.shape
    first = torch.arange(0, num_codebooks * codebook_size, codebook_size, device=centers.device)
    return embedding_bag(indexes + first, centers.flatten(0, 1), mode="sum")


def squared_errors(embeddings: Tensor, centers: Tensor, indexes: Tensor) -> Tensor:
    """Return the squared distance of each frame (B, D) from the sum of its entries, (B,).

    ``centers`` are (N, K, D), ``indexes`` (B, N) int64.
    """
    return (sum_entries(centers, indexes) - embeddings).square().sum(dim=-1)
