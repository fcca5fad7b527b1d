"""How well a quantiser does on frames that it was not trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.losses import entropy_bits

MOST_REFINEMENTS = 5  # what multi_quantization and icefall encode with


@dataclass(frozen=True)
class QuantizerReport:
    """Figures of a trained quantiser; all errors are squared, relative to the variance about the true mean.

    Attributes:
        num_frames: trained on.
        held_out_frames: measured on.
        held_out_errors: relative error after 0, 1, ... 5 refinements; 1 is what the mean alone gives.
        gaussian_bound: 2 ** (-2 R / D) for R bits a frame: what no quantiser can beat on
            isotropic Gaussian data. Real embeddings are not isotropic and lie below it.
        index_entropy_bits: of each codebook's indexes, at most log2 K and at most log2 of the frames.
        used_entries: of each codebook, in the held-out frames.
    """

    num_frames: int
    held_out_frames: int
    held_out_errors: tuple[float, ...]
    gaussian_bound: float
    index_entropy_bits: tuple[float, ...]
    used_entries: tuple[int, ...]


def measure(quantizer: DirectSumQuantizer, held_out: Tensor, num_frames: int) -> QuantizerReport:
    """Encode and decode the frames held_out (B, D) with every number of refinements.

    Args:
        quantizer: trained; the errors are relative to distances from its mean.
        held_out: (B, D), not all equal to the mean.
        num_frames: that it was trained on, for the report.
    """
    rounds = quantizer.encode_rounds(held_out, MOST_REFINEMENTS)
    size = quantizer.codebook_size
    counts = torch.stack([torch.bincount(column.long(), minlength=size) for column in rounds[-1].unbind(1)])
    bits = quantizer.num_codebooks * (quantizer.codebook_size.bit_length() - 1)
    return QuantizerReport(
        num_frames=num_frames,
        held_out_frames=len(held_out),
        held_out_errors=tuple(relative_error(quantizer, held_out, indexes) for indexes in rounds),
        gaussian_bound=2.0 ** (-2 * bits / quantizer.dim),
        index_entropy_bits=tuple(entropy_bits(counts / float(len(held_out))).tolist()),
        used_entries=tuple((counts > 0).sum(dim=1).tolist()),
    )


def relative_error(quantizer: DirectSumQuantizer, embeddings: Tensor, indexes: Tensor) -> float:
    """Squared error of decoded frames over the squared distance of ``embeddings`` (F, D) from the mean.

    ``indexes`` are (F, N).
    """
    error = (quantizer.decode(indexes) - embeddings).double().square().sum()
    return float(error / (embeddings - quantizer.mean).double().square().sum())
