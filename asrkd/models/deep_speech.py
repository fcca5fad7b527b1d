"""DeepSpeech2 encoder: two convolutions, bidirectional LSTMs, and a fully connected layer.

Source: Amodei et al., "Deep Speech 2", arXiv:1512.02595, section 3: two
convolutions over time and frequency of 32 channels, kernels of 11 frames and
41 and 21 features and stride 2 in frequency; bidirectional recurrent layers
whose two directions are summed; a fully connected layer before the softmax.

Departures: LayerNorm of a frame before each recurrent layer and before the
fully connected one, in place of BatchNorm within them, whose statistics mix
utterances; LSTMs, as in the models of that name in later papers; SiLU in place
of the clipped ReLU; the subsampling is 4 unless a config has another, by the
strides of :mod:`asrkd.models.front_end`.

Notation: N utterances, T feature or encoder frames, S feature frames in an
encoder frame, F features, C channels, D size of a direction of an LSTM.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError, counted
from asrkd.models.config import DeepSpeech2Config
from asrkd.models.encoder import Encoder, EncoderOutput, Place, Tap
from asrkd.models.front_end import TIME_STRIDES, ConvolutionalFrontEnd
from asrkd.models.layers import LayerNorm
from asrkd.models.masks import frame_mask, zero_padding


class SummedLstm(nn.Module):
    """LayerNorm, and LSTMs in both directions of time, whose outputs are summed."""

    def __init__(self, in_dim: int, dim: int) -> None:
        """Build for frames of size ``in_dim``; ``dim`` is D."""
        super().__init__()
        self.norm = LayerNorm(in_dim)
        self.forwards = nn.LSTM(in_dim, dim, batch_first=True)
        self.backwards = nn.LSTM(in_dim, dim, batch_first=True)
        for lstm in (self.forwards, self.backwards):
            _remember(lstm)

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """Compute (N, T, D) of (N, T, in_dim) frames, of which (N,) are real; zeros at padding.

        Frames are finite everywhere. Padding comes after the real frames in both directions, so it changes
        none of them, and nothing is packed: a backward pass over packed frames takes time of order T squared
        on a CPU.
        """
        mask = frame_mask(num_frames, frames.shape[1])
        rows = torch.arange(frames.shape[1], device=frames.device)
        mirror = torch.where(mask, num_frames[:, None] - 1 - rows, rows).unsqueeze(-1)  # its own inverse
        normed = self.norm(frames)
        with torch.autocast(frames.device.type, enabled=False):  # torch 1.13 has no LSTM in bf16 on CPU
            ahead, _ = self.forwards(normed)
            back, _ = self.backwards(normed.gather(1, mirror.expand_as(normed)))
        return zero_padding(ahead + back.gather(1, mirror.expand_as(back)), mask)


def _remember(lstm: nn.LSTM) -> None:
    """Set the bias of the forget gate to 1, so that an untrained LSTM remembers some frames.

    Source: Jozefowicz et al., ICML 2015. A small DeepSpeech2 leaves CTC's plateau earlier with it.
    """
    bias = dict(lstm.named_parameters())["bias_hh_l0"]
    nn.init.ones_(bias.data[lstm.hidden_size : 2 * lstm.hidden_size])


class DeepSpeech2(Encoder):
    """Convolutions, bidirectional LSTMs, and a fully connected layer.

    The LSTMs are the layers. ``before_norm`` taps the sum of a layer's directions, ``after_norm`` of the last
    layer the fully connected layer, which follows its norm.
    """

    def __init__(self, config: DeepSpeech2Config, num_features: int) -> None:
        """Build from ``config`` for features of size ``num_features``; AsrkdError if it leaves frames out."""
        super().__init__()
        self.dim, self.subsampling, self._layer_dim = config.output_dim, config.subsampling, config.dim
        front_end = ConvolutionalFrontEnd(
            num_features,
            config.channels,
            config.kernel_sizes,
            subsampling=config.subsampling,
            pad_features=True,
            utterance_mean=config.utterance_mean,
        )
        for (frames, _), stride in zip(config.kernel_sizes, TIME_STRIDES[config.subsampling], strict=True):
            if frames < stride:
                raise AsrkdError(
                    f"model.encoder.deepspeech2: a kernel of {counted(frames, 'frame')} with a stride of "
                    f"{stride} leaves frames out; give kernel_sizes of {stride} frames or more, an odd number"
                )
        self.front_end = front_end
        sizes = [config.channels * front_end.bands] + [config.dim] * (config.num_layers - 1)
        self.layers = nn.ModuleList(SummedLstm(size, config.dim) for size in sizes)
        self.dropout = nn.Dropout(config.dropout)
        self.fully_connected = nn.Sequential(
            LayerNorm(config.dim), nn.Linear(config.dim, config.output_dim), nn.SiLU()
        )

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode (N, T', F) features of (N,) frames each; see :meth:`Encoder.forward`."""
        self.check_taps(taps)
        frames, num_frames = self.front_end(features, num_frames)
        frames = zero_padding(frames, frame_mask(num_frames, frames.shape[1]))
        tapped: dict[Tap, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            frames = layer(frames if number == 1 else self.dropout(frames), num_frames)
            tapped[Tap(number, "before_norm")] = frames
        output = tapped[Tap(len(self.layers), "after_norm")] = self.fully_connected(self.dropout(frames))
        return EncoderOutput(output, num_frames, {tap: tapped[tap] for tap in taps})

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return before_norm, the sum of both directions; of the last layer after_norm too."""
        return ("after_norm", "before_norm") if layer == len(self.layers) else ("before_norm",)

    def layer_dim(self, tap: Tap) -> int:
        """Return D, or the size of the fully connected layer."""
        return self.dim if tap.place == "after_norm" else self._layer_dim
