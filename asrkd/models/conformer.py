"""Conformer encoder whose outputs depend neither on padding nor on other utterances of the batch.

Source: Gulati et al., "Conformer: Convolution-augmented Transformer for
Speech Recognition", arXiv:2005.08100, figure 1 and equation 1.

Departures: LayerNorm in place of BatchNorm, whose statistics would mix
utterances and include padding; rotary instead of Transformer-XL positions;
padding is masked before each convolution.

Notation: N utterances, T encoder frames, D model size.
"""

from collections.abc import Collection

from torch import Tensor, nn

from asrkd.models.attention import RotarySelfAttention
from asrkd.models.config import ConformerConfig
from asrkd.models.encoder import Encoder, EncoderOutput, Place, Tap
from asrkd.models.front_end import FrontEnd
from asrkd.models.layers import FeedForward, LayerNorm
from asrkd.models.masks import chunk_mask, frame_mask, zero_padding


class ConvolutionModule(nn.Module):
    """Convolution module (figure 2 of the paper): gated pointwise, masked depthwise, pointwise."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        padding = config.kernel_size - 1
        self._padding = (padding, 0) if config.causal else (padding // 2, padding // 2)
        self.norm = LayerNorm(config.dim)
        self.gated = nn.Linear(config.dim, 2 * config.dim)
        self.depthwise = nn.Conv1d(config.dim, config.dim, config.kernel_size, groups=config.dim)
        self.inner_norm = LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Convolve (N, T, D) frames, of (N, T) mask, True at real frames, to (N, T, D)."""
        gated = nn.functional.glu(self.gated(self.norm(frames)), dim=-1)
        padded = nn.functional.pad(zero_padding(gated, mask).transpose(1, 2), self._padding)
        mixed = self.depthwise(padded).transpose(1, 2)
        out: Tensor = self.dropout(self.out(nn.functional.silu(self.inner_norm(mixed))))
        return out


class ConformerLayer(nn.Module):
    """Conformer layer: half feed-forward, attention, convolution, half feed-forward, LayerNorm."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.first = FeedForward(config, nn.SiLU())
        self.attention_norm = LayerNorm(config.dim)
        self.attention = RotarySelfAttention(config.dim, config.num_heads, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.convolution = ConvolutionModule(config)
        self.second = FeedForward(config, nn.SiLU())
        self.norm = LayerNorm(config.dim)

    def forward(self, frames: Tensor, mask: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the layer's values before and after its final norm, both (N, T, D).

        Args:
            frames: (N, T, D) frames, finite everywhere.
            mask: (N, T) boolean, True at real frames.
            allowed: (N, T, T) or (N, 1, T) boolean, True where a frame (row) may attend to another (column).
        """
        frames = frames + 0.5 * self.first(frames)
        frames = frames + self.dropout(self.attention(self.attention_norm(frames), allowed))
        frames = frames + self.convolution(frames, mask)
        frames = frames + 0.5 * self.second(frames)
        return frames, self.norm(frames)


class Conformer(Encoder):
    """Front end and Conformer layers."""

    def __init__(self, config: ConformerConfig, num_features: int) -> None:
        """Build from ``config`` for features of size ``num_features``."""
        super().__init__()
        self.config, self.dim, self.subsampling = config, config.dim, config.subsampling
        self.front_end = FrontEnd(
            num_features,
            config.front_end_channels,
            config.dim,
            causal=config.causal,
            utterance_mean=config.utterance_mean,
            subsampling=config.subsampling,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(ConformerLayer(config) for _ in range(config.num_layers))

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode (N, T', F) features of (N,) frames each; see :meth:`Encoder.forward`."""
        self.check_taps(taps)
        frames, num_frames = self.front_end(features, num_frames)
        mask = frame_mask(num_frames, frames.shape[1])
        frames = self.dropout(zero_padding(frames, mask))
        allowed = self._allowed(mask)
        tapped: dict[Tap, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            before, frames = layer(frames, mask, allowed)
            tapped |= {Tap(number, "before_norm"): before, Tap(number, "after_norm"): frames}
        return EncoderOutput(frames, num_frames, {tap: tapped[tap] for tap in taps})

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return both places: every layer ends in a LayerNorm."""
        return ("after_norm", "before_norm")

    def _allowed(self, mask: Tensor) -> Tensor:
        """Return the keys in reach: real frames (N, 1, T), in streaming those of near chunks (N, T, T)."""
        keys = mask[:, None, :]
        if self.config.chunk_frames is None:
            return keys
        chunks = chunk_mask(mask.shape[1], self.config.chunk_frames, self.config.left_chunks)
        return keys & chunks.to(mask.device)
