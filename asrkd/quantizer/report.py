"""Report of a quantizer on held-out frames: relative errors, bounds, and entropy of its indexes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Count, Finite, Positive, Schema
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.shannon import entropy_bits, gaussian_distortion, principal_variances

BYTES = (1, 2, 4, 8, 16, 32, 64)  # per frame
AtLeastOne = Annotated[tuple[Finite, ...], Field(min_length=1)]
MAX_FOR_BOUNDS = 20_000  # frames of the covariance


@dataclass(frozen=True)
class QuantizerReport:
    """Figures of a trained quantizer; errors are squared, relative to the variance about the true mean.

    Attributes:
        num_frames: number of frames of the training.
        held_out_frames: number of frames of the measurement.
        codebook_size: K, entries per codebook.
        held_out_errors: relative errors after the beam, and after 1, 2, ... passes; 1 is the error of the
            mean alone.
        shannon_bound: lowest error of any quantizer of as many bits per frame on Gaussian frames of the
            same covariance; real embeddings are not Gaussian, and may have a lower one.
        shannon_bounds: the same bound for each number of bytes per frame in :data:`BYTES`.
        index_entropy_bits: entropy of each codebook's indexes, at most log2 K and at most log2 of the frames.
        used_entries: number of entries of each codebook that the held-out frames use.
    """

    num_frames: Count
    held_out_frames: Count
    codebook_size: Positive
    held_out_errors: AtLeastOne
    shannon_bound: Finite
    shannon_bounds: Annotated[tuple[Finite, ...], Field(min_length=len(BYTES), max_length=len(BYTES))]
    index_entropy_bits: AtLeastOne
    used_entries: tuple[Count, ...]

    @classmethod
    def of(cls, fields: Mapping[str, Any], where: Path) -> "QuantizerReport":
        """Make a report of the fields in the folder ``where``; AsrkdError if they do not fit."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        try:
            return _FORM.check(values)
        except ValueError as error:
            raise AsrkdError(
                f"{where}: no report of this version of asrkd, as in an imported quantizer ({error}); "
                "train a quantizer into another --out with: asrkd distill quantizer"
            ) from None

    def text(self) -> str:
        """Return the figures in one line."""
        bits, max_bits = self.index_entropy_bits, math.log2(self.codebook_size)
        error, bound = self.held_out_errors[-1], self.shannon_bound
        unused = len(self.used_entries) * self.codebook_size - sum(self.used_entries)
        return (
            f"relative squared error {error:.3f} of {self.held_out_frames} held-out frames "
            f"(Gaussian bound {bound:.3f}), "
            f"index entropy {sum(bits) / len(bits):.2f} of {max_bits:.2f} bits, {unused} entries unused"
        )


_FORM: Schema[QuantizerReport] = Schema(QuantizerReport)


def measure(quantizer: DirectSumQuantizer, held_out: Tensor, training: Tensor) -> QuantizerReport:
    """Measure a quantizer: encode ``held_out`` with every number of passes, and decode it.

    Args:
        quantizer: trained quantizer; the errors are relative to distances from its mean.
        held_out: (B, D) frames, not all equal to the mean.
        training: (F, D) frames of the quantizer's training, for the bounds.
    """
    rounds = quantizer.encode(held_out, all_rounds=True)
    size = quantizer.codebook_size
    counts = torch.stack([torch.bincount(column.long(), minlength=size) for column in rounds[-1].unbind(1)])
    bits = quantizer.num_codebooks * math.log2(size)
    variances = principal_variances(training[:MAX_FOR_BOUNDS])
    return QuantizerReport(
        num_frames=len(training),
        held_out_frames=len(held_out),
        codebook_size=size,
        held_out_errors=tuple(relative_error(quantizer, held_out, indexes) for indexes in rounds),
        shannon_bound=gaussian_distortion(variances, bits),
        shannon_bounds=tuple(gaussian_distortion(variances, 8.0 * count) for count in BYTES),
        index_entropy_bits=tuple(entropy_bits(counts / float(len(held_out))).tolist()),
        used_entries=tuple((counts > 0).sum(dim=1).tolist()),
    )


def relative_error(quantizer: DirectSumQuantizer, embeddings: Tensor, indexes: Tensor) -> float:
    """Return the squared error of decoded frames over the squared distance of ``embeddings`` from the mean.

    ``embeddings`` are (F, D), ``indexes`` (F, N).
    """
    error = (quantizer.decode(indexes) - embeddings).double().square().sum()
    return float(error / (embeddings - quantizer.mean).double().square().sum())
