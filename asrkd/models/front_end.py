"""Convolutional front end: normalizes features and subsamples them four times in time.

Two 3x3 convolutions of stride 2 over time and frequency, as in most CTC and
transducer recipes, with one departure: padding is symmetric and masked. So
encoder frame k is centered on feature frame 4k (causal: ends there), and T
feature frames give ceil(T / 4) encoder frames whatever the batch. Channels are
few in small students, and a ReLU that is 0 on every input stays so: with four
channels and a large learning rate one to three died. SiLU has no such state.

Notation: N utterances, T feature frames, F features, C channels, D model size.
"""

import torch
from torch import Tensor, nn

from asrkd.models.layers import FeatureNorm, LayerNorm
from asrkd.models.masks import zero_padding_of_channels

SUBSAMPLING = 4  # feature frames per encoder frame


def num_encoder_frames(num_frames: Tensor) -> Tensor:
    """Return ceil(T / 4) encoder frames for T feature frames, integers of any shape (...)."""
    return torch.div(num_frames + SUBSAMPLING - 1, SUBSAMPLING, rounding_mode="floor")


class FrontEnd(FeatureNorm):
    """Feature normalization and subsampling by four in time."""

    def __init__(
        self, num_features: int, channels: int, dim: int, *, causal: bool, utterance_mean: bool = False
    ) -> None:
        """Create the layers, with unit statistics; see :meth:`FeatureNorm.set_statistics`.

        Args:
            num_features: F, number of features.
            channels: C of both convolutions.
            dim: D of the output.
            causal: whether to pad in the past only, so that no frame depends on later frames.
            utterance_mean: whether to subtract the mean of the utterance, not that of the training data.
        """
        super().__init__(num_features, utterance_mean=utterance_mean)
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=0)
        self.second = nn.Conv2d(channels, channels, 3, stride=2, padding=0)
        reduced = (num_features + 3) // 4
        self.project = nn.Linear(channels * reduced, dim)
        self.norm = LayerNorm(dim)
        self._time_padding = (2, 0) if causal else (1, 1)

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample feature frames to encoder frames.

        Args:
            features: (N, T, F) features; padding may hold anything.
            num_frames: (N,) feature frames.

        Returns:
            (N, ceil(T / 4), D) encoder frames, and their (N,) counts.
        """
        frames = self.normalize(features, num_frames)[:, None]  # (N, 1, T, F)
        for convolution in (self.first, self.second):
            real = zero_padding_of_channels(frames, num_frames)
            padded = nn.functional.pad(real, (1, 1, *self._time_padding))
            frames = nn.functional.silu(convolution(padded))  # (N, C, T/2, F/2)
            num_frames = torch.div(num_frames + 1, 2, rounding_mode="floor")
        frames = self.project(frames.transpose(1, 2).flatten(2))  # (N, T/4, D)
        return self.norm(frames), num_frames
