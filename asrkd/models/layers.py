"""Layers shared by encoders and decoders: feature and layer normalization, feed-forward modules.

Notation: N utterances, T frames, F features, D model size.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from asrkd.models.masks import frame_mask, zero_padding


class FeatureNorm(nn.Module):
    """Normalization of features by their mean and standard deviation over the training data, both (F,).

    The mean may be that of each utterance instead (cepstral mean normalization, of log-mel features), which
    removes what a microphone or a room adds to all frames.
    """

    mean: Tensor  # (F,)
    std: Tensor  # (F,), at least 0.001

    def __init__(self, num_features: int, *, utterance_mean: bool = False) -> None:
        """Build with mean 0 and standard deviation 1; see :meth:`set_statistics`.

        Args:
            num_features: F, number of features.
            utterance_mean: whether to subtract the mean of the utterance, not that of the training data.
        """
        super().__init__()
        self._utterance_mean = utterance_mean
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Store the mean and standard deviation of each feature, both (F,), over the training data."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=1e-3))  # for empty mel bands

    def normalize(self, features: Tensor, num_frames: Tensor) -> Tensor:
        """Normalize (N, T, F) features to mean 0 and standard deviation 1.

        Args:
            features: (N, T, F) features; padding may hold anything.
            num_frames: (N,) real frames of each utterance.
        """
        normalized = (features - self.mean) / self.std
        if not self._utterance_mean:
            return normalized
        real = zero_padding(normalized, frame_mask(num_frames, features.shape[1]))
        # In float64, so that padding, which changes the order of the sum, changes no bit of the mean.
        means = real.double().sum(dim=1) / num_frames.clamp(min=1)[:, None]
        return normalized - means[:, None].to(normalized.dtype)


def global_statistics(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each feature over all frames of (T, F) matrices, both (F,)."""
    frames = torch.cat(list(features)).double()
    return frames.mean(dim=0).float(), frames.std(dim=0, unbiased=False).float()


class LayerNorm(nn.LayerNorm):
    """LayerNorm in float32 under autocast too, as sums of squares in bf16 are too coarse.

    This also makes bf16 work on torch 1.13's CPU build, whose LayerNorm refuses
    float32 weights with bf16 input.
    """

    def forward(self, frames: Tensor) -> Tensor:
        """Normalize (..., D) over its last axis; the result is float32."""
        with torch.autocast(frames.device.type, enabled=False):
            return super().forward(frames.float())


class LayerSizes(Protocol):
    """Sizes of a feed-forward module."""

    @property
    def dim(self) -> int:
        """D, of the residual stream."""

    @property
    def feed_forward_dim(self) -> int:
        """Size of the expansion."""

    @property
    def dropout(self) -> float:
        """Share of values dropped in training, [0, 1)."""


class FeedForward(nn.Sequential):
    """LayerNorm, expansion, activation, contraction; (N, T, D) to (N, T, D)."""

    def __init__(self, sizes: LayerSizes, activation: nn.Module) -> None:
        super().__init__(
            LayerNorm(sizes.dim),
            nn.Linear(sizes.dim, sizes.feed_forward_dim),
            activation,
            nn.Dropout(sizes.dropout),
            nn.Linear(sizes.feed_forward_dim, sizes.dim),
            nn.Dropout(sizes.dropout),
        )
