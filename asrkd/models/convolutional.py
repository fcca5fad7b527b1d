"""Encoders of convolutions over time with residual connections: Jasper and QuartzNet.

Sources: Li et al., "Jasper: An End-to-End Convolutional Neural Acoustic
Model", arXiv:1904.03288, figures 1 and 2: blocks of dense convolutions, each
followed by norm, activation and dropout; in Jasper DR ("dense residual") a
block adds the outputs of all blocks before it, each through a convolution of
kernel size 1 and a norm, before its last activation. Kriman et al.,
"QuartzNet", arXiv:1910.10261, section 3: convolutions in two steps, of each
channel over time and then of the channels of a frame, and blocks that add
their own input alone. Jasper Mini of Yoon et al. (TutorNet),
arXiv:2008.00671, is of such separable convolutions too.

Departures: LayerNorm over the channels of a frame in place of BatchNorm, whose
statistics mix utterances and include padding; padding is masked before each
convolution; SiLU in place of ReLU unless a config has ``activation: relu``
(see :mod:`asrkd.models.front_end`); one share of dropout for all layers. The
first convolution is centered and its stride is the subsampling, 4 unless a
config has the papers' 2.

Notation: N utterances, T encoder frames, C channels of a layer, S feature
frames in an encoder frame.
"""

from collections.abc import Collection, Sequence
from typing import TypeVar

from torch import Tensor, nn

from asrkd.models.config import BlockConfig, ConvolutionalEncoderConfig, ConvolutionConfig
from asrkd.models.encoder import Encoder, EncoderOutput, Place, Tap
from asrkd.models.front_end import num_encoder_frames
from asrkd.models.layers import FeatureNorm, LayerNorm
from asrkd.models.masks import frame_mask, zero_padding

_Item = TypeVar("_Item")


class TimeConvolution(nn.Module):
    """Masked convolution over time, centered: of all channels at once, or of each and then a linear map."""

    def __init__(
        self, in_channels: int, sizes: ConvolutionConfig, *, separable: bool, stride: int = 1
    ) -> None:
        """Create the weights, without biases, as a norm follows.

        Args:
            in_channels: channels of the input.
            sizes: output channels, kernel size and dilation.
            separable: whether to convolve each channel by itself, and then map the channels linearly.
            stride: frames of the input in one of the output.
        """
        super().__init__()
        is_over_time, mixes = sizes.kernel_size > 1 or stride > 1, separable or sizes.kernel_size == 1
        channels = in_channels if mixes else sizes.channels
        self.over_time: nn.Module | None = None
        if is_over_time:
            self.over_time = nn.Conv2d(
                in_channels,
                channels,
                (1, sizes.kernel_size),
                stride=(1, stride),
                padding=(0, sizes.dilation * (sizes.kernel_size // 2)),
                dilation=(1, sizes.dilation),
                groups=in_channels if mixes else 1,
                bias=False,
            )
        self.pointwise = nn.Linear(in_channels, sizes.channels, bias=False) if mixes else None

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Convolve (N, T, C) frames, of (N, T) mask, True at real ones, to (N, T / stride, channels)."""
        if self.over_time is not None:
            real = zero_padding(frames, mask)
            # An image of height 1 in the layout of channels last: no copy, and on a CPU several times as fast
            # as a one-dimensional convolution of each channel.
            frames = self.over_time(real.transpose(1, 2)[:, :, None])[:, :, 0].transpose(1, 2)
        return frames if self.pointwise is None else self.pointwise(frames)


class ConvolutionalBlock(nn.Module):
    """Convolutions, each with norm and activation; earlier outputs are added before the last activation."""

    def __init__(
        self,
        in_channels: int,
        sizes: BlockConfig,
        config: ConvolutionalEncoderConfig,
        *,
        residual_channels: Sequence[int] = (),
        stride: int = 1,
    ) -> None:
        """Build the block.

        Args:
            in_channels: channels of the input.
            sizes: channels, kernel size and number of the convolutions.
            config: kind of convolution, activation and dropout.
            residual_channels: channels of each earlier output that is added.
            stride: stride of the first convolution.
        """
        super().__init__()
        self.channels = sizes.channels
        inputs = [in_channels] + [sizes.channels] * (sizes.repeat - 1)
        self.convolutions = nn.ModuleList(
            TimeConvolution(channels, sizes, separable=config.separable, stride=stride if number == 0 else 1)
            for number, channels in enumerate(inputs)
        )
        self.norms = nn.ModuleList(LayerNorm(sizes.channels) for _ in inputs)
        self.shortcuts = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, sizes.channels, bias=False), LayerNorm(sizes.channels))
            for channels in residual_channels
        )
        self.activation = nn.ReLU() if config.activation == "relu" else nn.SiLU()
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, frames: Tensor, mask: Tensor, earlier: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compute the last convolution before its norm, and the block's output, both (N, T, C).

        Args:
            frames: (N, T', C') input, finite everywhere.
            mask: (N, T') boolean, True at real frames; T' is T but for a stride.
            earlier: (N, T, ...) outputs that are added, one for each of ``residual_channels``.
        """
        *inner, last = zip(self.convolutions, self.norms, strict=True)
        for convolution, norm in inner:
            frames = self.dropout(self.activation(norm(convolution(frames, mask))))
        convolution, norm = last
        before = convolution(frames, mask)
        total = norm(before)
        for shortcut, output in zip(self.shortcuts, earlier, strict=True):
            total = total + shortcut(output)
        return before, self.activation(total)


class ConvolutionalEncoder(Encoder):
    """Jasper and QuartzNet: a first convolution, which subsamples, blocks, and last convolutions.

    Each of them is a layer, from 1. ``after_norm`` taps its output as the next one reads it, but for dropout:
    after norm, residual connections and activation. ``before_norm`` taps its last convolution before the
    norm, so without residual connections: there the mean of a frame over channels differs from frame to
    frame, a difference that the norm removes.
    """

    def __init__(self, config: ConvolutionalEncoderConfig, num_features: int) -> None:
        """Build from ``config`` for features of size ``num_features``."""
        super().__init__()
        self.subsampling = config.subsampling
        self.front_end = FeatureNorm(num_features, utterance_mean=config.utterance_mean)
        self.dropout = nn.Dropout(config.dropout)
        self._residual = config.residual
        channels = [config.prologue.channels]  # of each output so far
        self.layers = nn.ModuleList(
            [ConvolutionalBlock(num_features, _single(config.prologue), config, stride=config.subsampling)]
        )
        for block in config.blocks:
            residuals = self._earlier(channels)
            self.layers.append(ConvolutionalBlock(channels[-1], block, config, residual_channels=residuals))
            channels.append(block.channels)
        self._num_blocks = len(config.blocks)
        for convolution in config.epilogue:
            self.layers.append(ConvolutionalBlock(channels[-1], _single(convolution), config))
            channels.append(convolution.channels)
        self.dim = channels[-1]

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode (N, T', F) features of (N,) frames each; see :meth:`Encoder.forward`."""
        self.check_taps(taps)
        mask = frame_mask(num_frames, features.shape[1])
        frames = zero_padding(self.front_end.normalize(features, num_frames), mask)
        num_frames = num_encoder_frames(num_frames, self.subsampling)
        tapped: dict[Tap, Tensor] = {}
        outputs: list[Tensor] = []  # of each layer, with dropout
        for number, layer in enumerate(self.layers, start=1):
            is_block = 1 < number <= 1 + self._num_blocks
            before, output = layer(frames, mask, self._earlier(outputs) if is_block else ())
            tapped |= {Tap(number, "before_norm"): before, Tap(number, "after_norm"): output}
            frames = self.dropout(output)
            outputs.append(frames)
            mask = frame_mask(num_frames, frames.shape[1])
        return EncoderOutput(output, num_frames, {tap: tapped[tap] for tap in taps})

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return both places: every layer has a norm."""
        return ("after_norm", "before_norm")

    def layer_dim(self, tap: Tap) -> int:
        """Return the channels of the tapped layer."""
        layer = self.layers[tap.layer - 1]
        assert isinstance(layer, ConvolutionalBlock)
        return layer.channels

    def _earlier(self, outputs: Sequence[_Item]) -> Sequence[_Item]:
        """Select what a block adds, of all outputs before it."""
        return {"dense": outputs, "block": outputs[-1:], "none": outputs[:0]}[self._residual]


def _single(sizes: ConvolutionConfig) -> BlockConfig:
    """Return the sizes of a block of one convolution."""
    return BlockConfig(**sizes.model_dump(), repeat=1)
