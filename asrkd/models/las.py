"""Encoder of "Listen, attend and spell": two convolutions and bidirectional GRUs.

Source: Mun'im, Inoue and Shinoda, arXiv:1811.04531, section 3 (two 2-D
convolutions of 32 filters, kernel (5, 8) and stride (2, 2), then bi-GRU
layers), after Chan et al., arXiv:1508.01211.

Departures: features are log-mel energies, not spectra of 20 ms windows.
Convolutions are centered in time, as in the Conformer's front end, so with a
subsampling of S frame k is at feature frame S * k; the paper's S is 4. There
is no padding in frequency, which gives the paper's numbers of parameters.

Notation: N utterances, T feature or encoder frames, S feature frames in an
encoder frame, F features, C channels, D
size of an encoder frame, twice that of the GRU of a direction.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asrkd.core.errors import AsrkdError
from asrkd.models.config import LasEncoderConfig
from asrkd.models.encoder import Encoder, EncoderOutput, Place, Tap
from asrkd.models.front_end import SUBSAMPLING, ConvolutionalFrontEnd
from asrkd.models.masks import frame_mask, zero_padding


class LasFrontEnd(ConvolutionalFrontEnd):
    """Feature normalization, and two convolutions of one kernel size, without padding in frequency."""

    def __init__(
        self,
        num_features: int,
        channels: int,
        kernel_size: tuple[int, int],
        *,
        utterance_mean: bool = False,
        subsampling: int = SUBSAMPLING,
    ) -> None:
        """Create the convolutions; AsrkdError if the features are too few for two of them."""
        super().__init__(
            num_features,
            channels,
            (kernel_size, kernel_size),
            subsampling=subsampling,
            pad_features=False,
            utterance_mean=utterance_mean,
        )
        if self.bands < 1:
            raise AsrkdError(
                f"model.encoder.las: {num_features} features are too few for two convolutions over "
                f"{kernel_size[1]} of them; give a smaller kernel_size: [{kernel_size[0]}, 2]"
            )
        self.dim = channels * self.bands


class LasEncoder(Encoder):
    """Convolutions, then bidirectional GRUs."""

    def __init__(self, config: LasEncoderConfig, num_features: int) -> None:
        """Build from ``config`` for features of size ``num_features``."""
        super().__init__()
        self.dim, self.subsampling = 2 * config.dim, config.subsampling
        front_end = LasFrontEnd(
            num_features,
            config.channels,
            config.kernel_size,
            utterance_mean=config.utterance_mean,
            subsampling=config.subsampling,
        )
        self.front_end = front_end
        sizes = [front_end.dim] + [self.dim] * (config.num_layers - 1)
        self.layers = nn.ModuleList(
            nn.GRU(size, config.dim, batch_first=True, bidirectional=True) for size in sizes
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode (N, T', F) features of (N,) frames each; see :meth:`Encoder.forward`."""
        self.check_taps(taps)
        frames, num_frames = self.front_end(features, num_frames)
        frames = zero_padding(frames, frame_mask(num_frames, frames.shape[1]))
        tapped: dict[Tap, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            frames = over_time(layer, frames if number == 1 else self.dropout(frames), num_frames)
            tapped[Tap(number, "before_norm")] = frames
        return EncoderOutput(frames, num_frames, {tap: tapped[tap] for tap in taps})

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return before_norm alone, a layer's output: no layer has a norm."""
        return ("before_norm",)


def over_time(layer: nn.Module, frames: Tensor, num_frames: Tensor) -> Tensor:
    """Run a recurrent layer over the real frames, in float32.

    Frames are packed, so that the backward direction begins at the last real frame.

    Args:
        layer: GRU, batch first.
        frames: (N, T, D) frames.
        num_frames: (N,) real frames, at least 1 each.

    Returns:
        Outputs (N, T, size of the layer), zeros at padding.
    """
    packed = pack_padded_sequence(frames.float(), num_frames.cpu(), batch_first=True, enforce_sorted=False)
    with torch.autocast(frames.device.type, enabled=False):  # torch 1.13 has no GRU in bf16 on CPU
        outputs, _ = layer(packed)
    padded: Tensor
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=frames.shape[1])
    return padded
