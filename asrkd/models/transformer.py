"""Transformer encoder, after the Conformer's front end.

Source: Vaswani et al., "Attention is all you need", arXiv:1706.03762, section
3.1, with the departures of :mod:`asrkd.models.transformer_decoder`.

Notation: N utterances, T encoder frames, D model size.
"""

from collections.abc import Collection

from torch import Tensor, nn

from asrkd.models.attention import RotarySelfAttention
from asrkd.models.config import TransformerEncoderConfig
from asrkd.models.encoder import Encoder, EncoderOutput, Place, Tap
from asrkd.models.front_end import FrontEnd
from asrkd.models.layers import FeedForward, LayerNorm
from asrkd.models.masks import frame_mask, zero_padding


class TransformerLayer(nn.Module):
    """Transformer layer: self-attention and feed-forward, each with a residual connection."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.dim)
        self.attention = RotarySelfAttention(config.dim, config.num_heads, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = FeedForward(config, nn.ReLU())

    def forward(self, frames: Tensor, allowed: Tensor) -> Tensor:
        """Transform (N, T, D) frames, finite everywhere; ``allowed`` (N, 1, T) is True at real frames."""
        frames = frames + self.dropout(self.attention(self.attention_norm(frames), allowed))
        out: Tensor = frames + self.feed_forward(frames)
        return out


class TransformerEncoder(Encoder):
    """Front end, Transformer layers, and a final LayerNorm."""

    def __init__(self, config: TransformerEncoderConfig, num_features: int) -> None:
        """Build from ``config`` for features of size ``num_features``."""
        super().__init__()
        self.dim, self.subsampling = config.dim, config.subsampling
        self.front_end = FrontEnd(
            num_features,
            config.front_end_channels,
            config.dim,
            causal=False,
            utterance_mean=config.utterance_mean,
            subsampling=config.subsampling,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_layers))
        self.norm = LayerNorm(config.dim)

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode (N, T', F) features of (N,) frames each; see :meth:`Encoder.forward`."""
        self.check_taps(taps)
        frames, num_frames = self.front_end(features, num_frames)
        mask = frame_mask(num_frames, frames.shape[1])
        frames = self.dropout(zero_padding(frames, mask))
        tapped: dict[Tap, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            frames = layer(frames, mask[:, None])
            tapped[Tap(number, "before_norm")] = frames
        normed = tapped[Tap(len(self.layers), "after_norm")] = self.norm(frames)
        return EncoderOutput(normed, num_frames, {tap: tapped[tap] for tap in taps})

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return before_norm; of the last layer after_norm too, the encoder's final norm."""
        return ("after_norm", "before_norm") if layer == len(self.layers) else ("before_norm",)
