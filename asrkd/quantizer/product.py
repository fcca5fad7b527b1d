"""Pairs of small codebooks as one large one: the same sums in half as many, longer steps.

Source: the ``multi_quantization`` package, which trains 2 N codebooks of 16
entries first, for they are learnt sooner, and goes on with N of 256.

Letters: N codebooks and K entries of each in the product, D dimensions.
"""

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer


@torch.no_grad()
def product_quantizer(small: DirectSumQuantizer) -> DirectSumQuantizer:
    """The quantiser of N codebooks whose entry a * sqrt(K) + b is entries a and b of two small ones.

    Args:
        small: 2 N codebooks of sqrt(K) entries; entry a is of codebook 2 n, b of 2 n + 1.

    Raises:
        ValueError: it has one codebook only, or more than 16 entries in each.
    """
    if small.num_codebooks < 2:
        raise ValueError("a product takes two codebooks or more, got 1")
    large = DirectSumQuantizer(small.dim, small.num_codebooks // 2, small.codebook_size**2)
    large.to(small.centers.device)
    weight = small.to_logits.weight.view_as(small.centers)
    bias = small.to_logits.bias.view(small.num_codebooks, small.codebook_size, 1)
    large.mean.copy_(small.mean)
    large.centers.copy_(_sums_of_pairs(small.centers))
    large.to_logits.weight.copy_(_sums_of_pairs(weight).flatten(0, 1))
    large.to_logits.bias.copy_(_sums_of_pairs(bias).flatten())
    large.logits_scale.copy_(small.logits_scale)
    large.centers_scale.copy_(small.centers_scale)
    return large


def _sums_of_pairs(values: Tensor) -> Tensor:
    """Values (2 N, K, X) of two neighbours added in all combinations, (N, K * K, X)."""
    return (values[0::2, :, None] + values[1::2, None, :]).flatten(1, 2)
