"""Convolutional subsampling: four feature frames become one encoder frame.

Two 3x3 convolutions of stride 2 over time and frequency, as most CTC and
transducer recipes have them, with one difference: padding is symmetric and
masked, so encoder frame k is centered on feature frame 4k (causal: it ends
there), and a count of T feature frames gives ceil(T / 4) encoder frames
whatever else is in the batch.

Letters: N utterances, T feature frames, F features, C channels, D model size.
"""

import torch
from torch import Tensor, nn

from asrkd.models.layers import LayerNorm
from asrkd.models.masks import frame_mask

SUBSAMPLING = 4  # feature frames per encoder frame


def num_encoder_frames(num_frames: Tensor) -> Tensor:
    """ceil(T / 4) encoder frames of T feature frames, for integers of any shape (...)."""
    return torch.div(num_frames + SUBSAMPLING - 1, SUBSAMPLING, rounding_mode="floor")


class FeatureNorm(nn.Module):
    """What begins every front end: features are normalized by mean and spread (F,) of the training data."""

    mean: Tensor  # (F,)
    std: Tensor  # (F,), at least 0.001

    def __init__(self, num_features: int) -> None:
        """Begin with mean 0 and spread 1; :meth:`set_statistics` fills in those of the data."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Store the mean and standard deviation of each feature, both (F,), taken over training data."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=1e-3))  # an empty mel band must not blow up

    def normalize(self, features: Tensor) -> Tensor:
        """(N, T, F) features, by the stored statistics brought to mean 0 and spread 1."""
        return (features - self.mean) / self.std


class FrontEnd(FeatureNorm):
    """Normalize features by stored statistics and subsample them four times in time."""

    def __init__(self, num_features: int, channels: int, dim: int, *, causal: bool) -> None:
        """Build with unit statistics; :meth:`set_statistics` fills in those of the data.

        Args:
            num_features: F.
            channels: C of both convolutions.
            dim: D of the output.
            causal: pad in the past only, so that no frame depends on later ones.
        """
        super().__init__(num_features)
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=0)
        self.second = nn.Conv2d(channels, channels, 3, stride=2, padding=0)
        reduced = (num_features + 3) // 4
        self.project = nn.Linear(channels * reduced, dim)
        self.norm = LayerNorm(dim)
        self._time_padding = (2, 0) if causal else (1, 1)

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample.

        Args:
            features: (N, T, F); padding may hold anything.
            num_frames: (N,) feature frames.

        Returns:
            (N, ceil(T / 4), D) encoder frames, and their (N,) counts.
        """
        frames = self.normalize(features)[:, None]  # (N, 1, T, F)
        for convolution in (self.first, self.second):
            padded = nn.functional.pad(real_only(frames, num_frames), (1, 1, *self._time_padding))
            frames = torch.relu(convolution(padded))  # (N, C, T/2, F/2)
            num_frames = torch.div(num_frames + 1, 2, rounding_mode="floor")
        frames = self.project(frames.transpose(1, 2).flatten(2))  # (N, T/4, D)
        return self.norm(frames), num_frames


def real_only(frames: Tensor, num_frames: Tensor) -> Tensor:
    """(N, C, T, F) frames, of which (N,) are real, with zeros at padding, as a convolution must find it."""
    mask = frame_mask(num_frames, frames.shape[2])  # (N, T)
    return frames.masked_fill(~mask[:, None, :, None], 0.0)
