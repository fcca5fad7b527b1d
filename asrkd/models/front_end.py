"""Convolutional front ends: normalize features and subsample them in time.

Two convolutions over time and frequency, of stride 2 in frequency, as in most
CTC and transducer recipes, with one departure: padding in time is symmetric
and masked. So with a subsampling of S (four, unless a config has another;
strides in time by :data:`TIME_STRIDES`) encoder frame k is centered on feature
frame S * k (causal: ends there), and T feature frames give ceil(T / S) encoder
frames whatever the batch. Channels are few in small students, and a ReLU that
is 0 on every input stays so: with four channels and a large learning rate one
to three died. SiLU has no such state.

Notation: N utterances, T feature frames, S of them in an encoder frame, F features, C channels, D model size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asrkd.models.layers import FeatureNorm, LayerNorm
from asrkd.models.masks import zero_padding_of_channels

SUBSAMPLING = 4  # S of a config that has none

TIME_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2), 8: (4, 2)}  # of both convolutions, by the subsampling

Kernel = tuple[int, int]  # frames, an odd number, and features


def num_encoder_frames(num_frames: Tensor, subsampling: int) -> Tensor:
    """Return ceil(T / S) encoder frames for T feature frames, integers of any shape (...)."""
    return torch.div(num_frames + subsampling - 1, subsampling, rounding_mode="floor")


class ConvolutionalFrontEnd(FeatureNorm):
    """Feature normalization, and two masked convolutions over time and frequency."""

    def __init__(
        self,
        num_features: int,
        channels: int,
        kernels: tuple[Kernel, Kernel],
        *,
        subsampling: int,
        pad_features: bool,
        causal: bool = False,
        utterance_mean: bool = False,
    ) -> None:
        """Create the convolutions, with unit statistics; see :meth:`FeatureNorm.set_statistics`.

        Args:
            num_features: F, number of features.
            channels: C of both convolutions.
            kernels: sizes of both kernels.
            subsampling: S, 1, 2, 4 or 8.
            pad_features: whether to pad in frequency, by half of a kernel on both sides.
            causal: whether to pad in the past only, so that no frame depends on later frames.
            utterance_mean: whether to subtract the mean of the utterance, not that of the training data.
        """
        super().__init__(num_features, utterance_mean=utterance_mean)
        (one, two), strides = kernels, TIME_STRIDES[subsampling]
        self.first = nn.Conv2d(1, channels, one, stride=(strides[0], 2), padding=0)
        self.second = nn.Conv2d(channels, channels, two, stride=(strides[1], 2), padding=0)
        self._causal = causal
        self._padding = [kernel[1] // 2 if pad_features else 0 for kernel in kernels]
        bands = [num_features]
        for kernel, padding in zip(kernels, self._padding, strict=True):
            bands.append((bands[-1] + 2 * padding - kernel[1]) // 2 + 1)
        _, self._bands_between, self.bands = bands  # below 1 if the features are too few

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Normalize and subsample feature frames.

        Args:
            features: (N, T, F) features; padding may hold anything.
            num_frames: (N,) feature frames.

        Returns:
            (N, ceil(T / S), C * bands) values, and their (N,) counts.
        """
        frames = self.normalize(features, num_frames)[:, None]  # (N, 1, T, F)
        for convolution, beside in zip((self.first, self.second), self._padding, strict=True):
            real = zero_padding_of_channels(frames, num_frames)
            around = convolution.kernel_size[0] - 1  # frames beside the one that the kernel is placed at
            time_padding = (around, 0) if self._causal else (around // 2, around // 2)
            padded = nn.functional.pad(real, (beside, beside, *time_padding))
            frames = nn.functional.silu(convolution(padded))  # (N, C, T / stride, F / 2)
            num_frames = num_encoder_frames(num_frames, convolution.stride[0])
        return frames.transpose(1, 2).flatten(2), num_frames

    def start(self, num: int) -> tuple[Tensor, ...]:
        """Return what is before the first frame of ``num`` streams, for each convolution: zeros.

        Each is (N, channels, kernel - 1, features) of the convolution's input.

        Raises:
            ValueError: the front end is not causal.
        """
        if not self._causal or self._utterance_mean:
            raise ValueError("a front end that reads later frames cannot run on streams")
        shapes = ((1, len(self.mean)), (self.first.out_channels, self._bands_between))
        return tuple(
            self.mean.new_zeros(num, channels, convolution.kernel_size[0] - 1, bands)
            for convolution, (channels, bands) in zip((self.first, self.second), shapes, strict=True)
        )

    def step(self, features: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Subsample the next features of streams.

        Args:
            features: (N, S * C, F) features, a multiple of the subsampling.
            before: the frames before them, of :meth:`start` or of the last step.

        Returns:
            (N, C, C' * bands) values for C' channels, and the frames that the next step needs.
        """
        frames, kept = ((features - self.mean) / self.std)[:, None], []
        for convolution, beside, cached in zip((self.first, self.second), self._padding, before, strict=True):
            window = torch.cat([cached, frames], dim=2)
            kept.append(window[:, :, window.shape[2] - cached.shape[2] :])
            frames = nn.functional.silu(convolution(nn.functional.pad(window, (beside, beside))))
        return frames.transpose(1, 2).flatten(2), tuple(kept)


class FrontEnd(ConvolutionalFrontEnd):
    """Two 3x3 convolutions, a linear map and a LayerNorm; a stride of 4 has a kernel of 5 frames."""

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
        """Create the layers, as :class:`ConvolutionalFrontEnd` does; ``dim`` is D of the output."""
        one, two = ((5 if stride == 4 else 3, 3) for stride in TIME_STRIDES[subsampling])
        super().__init__(
            num_features,
            channels,
            (one, two),  # as wide as the stride at least, so that no frame is left out
            subsampling=subsampling,
            pad_features=True,
            causal=causal,
            utterance_mean=utterance_mean,
        )
        self.project = nn.Linear(channels * self.bands, dim)
        self.norm = LayerNorm(dim)

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample feature frames to encoder frames.

        Args:
            features: (N, T, F) features; padding may hold anything.
            num_frames: (N,) feature frames.

        Returns:
            (N, ceil(T / S), D) encoder frames, and their (N,) counts.
        """
        frames, num_frames = super().forward(features, num_frames)
        return self.norm(self.project(frames)), num_frames

    def step(self, features: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Subsample the next features of streams to (N, C, D); see :meth:`ConvolutionalFrontEnd.step`."""
        frames, kept = super().step(features, before)
        return self.norm(self.project(frames)), kept
