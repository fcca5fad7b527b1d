"""Least squares for the centers: the exact minimum of the squared error for fixed indexes.

With the indexes fixed, a decoded frame is linear in the centers: row b of a
0/1 matrix A (B, N * K) with N ones picks them. So the best centers solve
(A^T A + r I) C = A^T X + r C0, where r is a ridge toward C0, the present
centers or zero: A^T A lacks N - 1 in rank (a constant may move from one
codebook to another), and an entry of few frames is poorly determined. This
is the codebook update of additive quantization (Babenko and Lempitsky,
"Additive Quantization for Extreme Vector Compression", CVPR 2014); here A^T A
and A^T X are sums over batches that fade, so that indexes of older centers
count less.

Notation: B frames, N codebooks, K entries of each, D dimensions.
"""

import torch
from torch import Tensor

MAX_WEIGHT = 1e6  # at which the sums are scaled back to weight 1


class CenterStatistics:
    """Statistics of recent batches: fading sums of A^T A (N * K, N * K) and A^T X (N * K, D), float64."""

    def __init__(self, centers: Tensor) -> None:
        """Create zero sums, for ``centers`` of shape (N, K, D)."""
        self.num_codebooks, self.codebook_size, dim = centers.shape
        size = self.num_codebooks * self.codebook_size
        self._counts = centers.new_zeros((size, size), dtype=torch.float64)
        self._sums = centers.new_zeros((size, dim), dtype=torch.float64)
        self._weight = 1.0  # weight of the next batch; it grows instead of fading the sums

    def fade(self, factor: float) -> None:
        """Scale the weight of all previous batches by ``factor``, in (0, 1]."""
        self._weight /= factor
        if self._weight > MAX_WEIGHT:
            self._counts /= self._weight
            self._sums /= self._weight
            self._weight = 1.0

    def add(self, centered: Tensor, indexes: Tensor) -> None:
        """Add centered frames (B, D) and their indexes (B, N) int64."""
        size = len(self._counts)
        first = torch.arange(0, size, self.codebook_size, device=indexes.device)
        rows = indexes + first  # (B, N): rows among the N * K entries
        if indexes.device.type == "cpu":
            _scatter(rows, centered.double() * self._weight, self._weight, self._counts, self._sums)
        else:
            _multiply(rows, centered, self._weight, self._counts, self._sums)

    def pair_counts(self) -> Tensor:
        """Return the fading counts of pairs of entries of codebooks 2n and 2n + 1, (N / 2, K, K)."""
        size = self.codebook_size
        starts = range(0, self.num_codebooks * size, 2 * size)
        pairs = [self._counts[start : start + size, start + size : start + 2 * size] for start in starts]
        return torch.stack(pairs) / self._weight

    def solve(self, prior: Tensor, ridge: float) -> Tensor:
        """Return the centers (N, K, D) of minimal squared error + ridge * squared distance from ``prior``.

        Args:
            prior: (N, K, D) centers to stay close to.
            ridge: weight of the prior in frames, > 0: an entry of as many frames moves half way.
        """
        counts = self._counts.clone()
        counts.diagonal().add_(ridge * self._weight)
        sums = self._sums + ridge * self._weight * prior.flatten(0, 1)
        solved = torch.cholesky_solve(sums, torch.linalg.cholesky(counts))
        return solved.view(prior.shape).to(prior.dtype)

    def state(self) -> dict[str, Tensor]:
        """Return the statistics, float64: ``counts`` (N * K, N * K), ``sums`` (N * K, D), ``weight`` ()."""
        weight = torch.tensor(self._weight, dtype=torch.float64)
        return {"counts": self._counts, "sums": self._sums, "weight": weight}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the statistics of :meth:`state`: (N * K, N * K), (N * K, D) and ().

        Raises:
            KeyError, RuntimeError: a tensor is missing, or of another size.
        """
        self._counts.copy_(state["counts"])
        self._sums.copy_(state["sums"])
        self._weight = float(state["weight"])


def _scatter(rows: Tensor, weighted: Tensor, weight: float, counts: Tensor, sums: Tensor) -> None:
    """Add weight * A^T A to ``counts`` and A^T X of weighted frames to ``sums``, entry by entry."""
    pairs = (rows[:, :, None] * len(counts) + rows[:, None, :]).flatten()  # (B * N * N,)
    counts.view(-1).index_add_(0, pairs, counts.new_full(pairs.shape, weight))
    for column in rows.unbind(dim=1):
        sums.index_add_(0, column, weighted)


def _multiply(rows: Tensor, centered: Tensor, weight: float, counts: Tensor, sums: Tensor) -> None:
    """Add as :func:`_scatter` does, by matrix products, as a scatter on a GPU sums in no fixed order."""
    picks = centered.new_zeros(len(rows), len(counts)).scatter_(1, rows, 1.0)  # A
    counts += (picks.T @ picks).double() * weight
    sums += (picks.T @ centered).double() * weight
