"""Convolutional front end: normalizes features and subsamples them in time.

Two 3x3 convolutions of stride 2 over time and frequency, as in most CTC and
transducer recipes, with one departure: padding is symmetric and masked. So
with a subsampling of S (four, unless a config has another; strides in time by
:data:`TIME_STRIDES`) encoder frame k is centered on feature frame S * k
(causal: ends there), and T feature frames give ceil(T / S) encoder frames
whatever the batch. A stride of 4 has a kernel of 5 frames, which leaves no
frame out. Channels are few in small students, and a ReLU that is 0 on every
input stays so: with four channels and a large learning rate one to three died.
SiLU has no such state.

Notation: N utterances, T feature frames, S of them in an encoder frame, F features, C channels, D model size.
"""

import torch
from torch import Tensor, nn

from asrkd.models.layers import FeatureNorm, LayerNorm
from asrkd.models.masks import zero_padding_of_channels

SUBSAMPLING = 4  # S of a config that has none

TIME_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2), 8: (4, 2)}  # of both convolutions, by the subsampling


def num_encoder_frames(num_frames: Tensor, subsampling: int) -> Tensor:
    """Return ceil(T / S) encoder frames for T feature frames, integers of any shape (...)."""
    return torch.div(num_frames + subsampling - 1, subsampling, rounding_mode="floor")


class FrontEnd(FeatureNorm):
    """Feature normalization and subsampling in time."""

    def __init__(
        self,
        num_features: int,
        channels: int,
        dim: int,
        *,
        causal: bool,
        utterance_mean: bool = False,
        subsampling: int = SUBSAMPLING,
    ) -> None:
        """Create the layers, with unit statistics; see :meth:`FeatureNorm.set_statistics`.

        Args:
            num_features: F, number of features.
            channels: C of both convolutions.
            dim: D of the output.
            causal: whether to pad in the past only, so that no frame depends on later frames.
            utterance_mean: whether to subtract the mean of the utterance, not that of the training data.
            subsampling: S, 1, 2, 4 or 8.
        """
        super().__init__(num_features, utterance_mean=utterance_mean)
        strides = TIME_STRIDES[subsampling]
        first, second = ((5 if stride == 4 else 3, 3) for stride in strides)
        self.first = nn.Conv2d(1, channels, first, stride=(strides[0], 2), padding=0)
        self.second = nn.Conv2d(channels, channels, second, stride=(strides[1], 2), padding=0)
        reduced = (num_features + 3) // 4
        self.project = nn.Linear(channels * reduced, dim)
        self.norm = LayerNorm(dim)
        self._causal = causal

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample feature frames to encoder frames.

        Args:
            features: (N, T, F) features; padding may hold anything.
            num_frames: (N,) feature frames.

        Returns:
            (N, ceil(T / S), D) encoder frames, and their (N,) counts.
        """
        frames = self.normalize(features, num_frames)[:, None]  # (N, 1, T, F)
        for convolution in (self.first, self.second):
            real = zero_padding_of_channels(frames, num_frames)
            around = convolution.kernel_size[0] - 1  # frames beside the one that the kernel is placed at
            time_padding = (around, 0) if self._causal else (around // 2, around // 2)
            padded = nn.functional.pad(real, (1, 1, *time_padding))
            frames = nn.functional.silu(convolution(padded))  # (N, C, T / stride, F / 2)
            num_frames = num_encoder_frames(num_frames, convolution.stride[0])
        frames = self.project(frames.transpose(1, 2).flatten(2))  # (N, T / S, D)
        return self.norm(frames), num_frames
