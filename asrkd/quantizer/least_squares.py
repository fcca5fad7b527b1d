"""Centres that are best for given indexes: the exact minimum of the squared error.

With the indexes fixed, a decoded frame is linear in the centres: row b of a
0/1 matrix A (B, N * K) with N ones picks them. So the best centres solve
(A^T A + r I) C = A^T X + r C0, where r is a ridge towards the present
centres C0: A has N - 1 directions too many (a constant may move from one
codebook to another), and an entry seen in few frames should stay near where
it was. This is the codebook update of additive quantisation (Babenko and
Lempitsky, "Additive Quantization for Extreme Vector Compression", CVPR
2014); here A^T A and A^T X are sums over batches that fade, so that indexes
made with older centres count for less.

Letters: B frames, N codebooks, K entries of each, D dimensions.
"""

import torch
from torch import Tensor


class CenterStatistics:
    """Fading sums of A^T A (N * K, N * K) and A^T X (N * K, D), float64."""

    def __init__(self, centers: Tensor) -> None:
        """Nothing seen yet, for centres of the shape (N, K, D) of ``centers``."""
        self.num_codebooks, self.codebook_size, dim = centers.shape
        size = self.num_codebooks * self.codebook_size
        self._counts = centers.new_zeros((size, size), dtype=torch.float64)
        self._sums = centers.new_zeros((size, dim), dtype=torch.float64)

    def fade(self, factor: float) -> None:
        """Let all that was seen count ``factor`` times as much, in [0, 1]."""
        self._counts *= factor
        self._sums *= factor

    def add(self, centred: Tensor, indexes: Tensor) -> None:
        """See frames without their mean, (B, D), and their indexes, (B, N) int64."""
        size = len(self._counts)
        first = torch.arange(0, size, self.codebook_size, device=indexes.device)
        rows = indexes + first  # (B, N): which of the N * K entries a frame has
        for column in rows.unbind(dim=1):
            pairs = (column[:, None] * size + rows).flatten()
            self._counts.view(-1).index_add_(0, pairs, self._counts.new_ones(pairs.shape))
            self._sums.index_add_(0, column, centred.double())

    def solve(self, centers: Tensor, ridge: float) -> Tensor:
        """Centres (N, K, D) that minimise squared error + ridge * squared distance from ``centers``.

        Args:
            centers: (N, K, D) the present ones.
            ridge: > 0, in frames: an entry seen so often moves half way.
        """
        counts = self._counts.clone()
        counts.diagonal().add_(ridge)
        sums = self._sums + ridge * centers.flatten(0, 1)
        solved = torch.cholesky_solve(sums, torch.linalg.cholesky(counts))
        return solved.view(centers.shape).to(centers.dtype)
