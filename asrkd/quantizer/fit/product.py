"""Product quantizers: each pair of small codebooks becomes one large one, with the same sums.

Source: the ``multi_quantization`` package, which trains 2 N codebooks of 16
entries first, as they are learned sooner, and then N of 256.

Notation: N codebooks and K entries of each in the product, D dimensions.
"""

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer


@torch.no_grad()
def product_quantizer(
    small: DirectSumQuantizer, codebook_size: int | None = None, pair_counts: Tensor | None = None
) -> DirectSumQuantizer:
    """Make a quantizer of N codebooks whose entries are pairs of entries of two small ones.

    Entry a * k + b is entries a and b of codebooks 2 n and 2 n + 1; where K is
    less than k * k, the most used pairs are kept, in that order.

    Args:
        small: 2 N codebooks of k entries.
        codebook_size: K, at most k * k; None for all.
        pair_counts: (N, k, k) numbers of occurrences of each pair; needed for less than all.

    Raises:
        ValueError: ``small`` has one codebook, K is out of range, or K is less
            than k * k without ``pair_counts``.
    """
    if small.num_codebooks < 2:
        raise ValueError("a product takes two codebooks or more, got 1")
    num_pairs = small.codebook_size**2
    size = num_pairs if codebook_size is None else codebook_size
    if size > num_pairs or (size < num_pairs and pair_counts is None):
        raise ValueError(f"{size} entries of {num_pairs} pairs: expected all, or fewer and pair_counts")
    large = DirectSumQuantizer(small.dim, small.num_codebooks // 2, size).to(small.centers.device)
    kept = _most_used(pair_counts.flatten(1), size) if pair_counts is not None else None
    weight = small.to_logits.weight.view_as(small.centers)
    bias = small.to_logits.bias.view(small.num_codebooks, small.codebook_size, 1)
    large.mean.copy_(small.mean)
    large.centers.copy_(_sums_of_pairs(small.centers, kept))
    large.to_logits.weight.copy_(_sums_of_pairs(weight, kept).flatten(0, 1))
    large.to_logits.bias.copy_(_sums_of_pairs(bias, kept).flatten())
    large.logits_scale.copy_(small.logits_scale)
    large.centers_scale.copy_(small.centers_scale)
    return large


def _most_used(counts: Tensor, number: int) -> Tensor:
    """Return (N, number) places of the largest of counts (N, X), ascending; of ties the first."""
    order = counts.sort(dim=1, descending=True, stable=True).indices
    return order[:, :number].sort(dim=1).values


def _sums_of_pairs(values: Tensor, kept: Tensor | None) -> Tensor:
    """Add values (2 N, k, X) of neighbors in all combinations, or at the places ``kept`` only, (N, K, X)."""
    sums = (values[0::2, :, None] + values[1::2, None, :]).flatten(1, 2)
    return sums if kept is None else sums.gather(1, kept[..., None].expand(-1, -1, sums.shape[-1]))
