"""Conformer encoder whose outputs depend neither on padding nor on other utterances of the batch.

Source: Gulati et al., "Conformer: Convolution-augmented Transformer for
Speech Recognition", arXiv:2005.08100, figure 1 and equation 1.

Departures: LayerNorm in place of BatchNorm, whose statistics would mix
utterances and include padding; rotary instead of Transformer-XL positions;
padding is masked before each convolution.

Notation: N utterances, T encoder frames, D model size.
"""

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asrkd.models.attention import RotarySelfAttention
from asrkd.models.config import ConformerConfig
from asrkd.models.encoder import Encoder, EncoderOutput, Place, Tap
from asrkd.models.front_end import FrontEnd
from asrkd.models.layers import FeedForward, LayerNorm
from asrkd.models.masks import Chunks, chunk_mask, frame_mask, zero_padding

LONGEST_MASK = 3000  # encoder frames, two minutes; the mask of chunks has the square of them


class LayerState(NamedTuple):
    """What a layer keeps of N streams: L frames for attention, and K - 1 for a convolution of K frames."""

    key: Tensor  # (N, L, D), before rotation
    value: Tensor  # (N, L, D)
    convolution: Tensor  # (N, K - 1, D), after the gate


class StreamState(NamedTuple):
    """What a Conformer keeps of N streams; all zeros before the first frame."""

    front_end: tuple[Tensor, ...]  # of each convolution (N, channels, kernel - 1, features)
    layers: tuple[LayerState, ...]
    num_frames: Tensor  # (N,) int64, encoder frames so far, at most L


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
        return self._mixed(padded)

    def step(self, frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the next (N, C, D) frames of streams.

        Args:
            frames: the frames.
            before: (N, K - 1, D) gated frames before them, for a kernel of K frames.

        Returns:
            (N, C, D), and the gated frames that the next step needs.
        """
        gated = nn.functional.glu(self.gated(self.norm(frames)), dim=-1)
        window = torch.cat([before, gated], dim=1)
        return self._mixed(window.transpose(1, 2)), window[:, frames.shape[1] :]

    def _mixed(self, padded: Tensor) -> Tensor:
        """Map gated frames (N, D, T + K - 1) to (N, T, D)."""
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

    def step(self, frames: Tensor, state: LayerState, allowed: Tensor) -> tuple[Tensor, LayerState]:
        """Compute the layer's output (N, C, D) for the next (N, C, D) frames of streams.

        ``allowed`` (N, 1, L + C) is True at the frames of the window that may be attended to.
        """
        frames = frames + 0.5 * self.first(frames)
        mixed, key, value = self.attention.step(self.attention_norm(frames), state.key, state.value, allowed)
        frames = frames + mixed
        convolved, before = self.convolution.step(frames, state.convolution)
        frames = frames + convolved
        frames = frames + 0.5 * self.second(frames)
        return self.norm(frames), LayerState(key, value, before)


class Conformer(Encoder):
    """Front end and Conformer layers; in streaming also a step from chunk to chunk."""

    front_end: FrontEnd

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
        self.chunks = Chunks(config.chunk_frames, config.left_chunks)  # of evaluation, and of streams

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode (N, T', F) features of (N,) frames each; see :meth:`Encoder.forward`."""
        self.check_taps(taps)
        if features.shape[1] > LONGEST_MASK * self.subsampling and self._steps_suffice(taps):
            return self._in_steps(features, num_frames)
        frames, num_frames = self.front_end(features, num_frames)
        mask = frame_mask(num_frames, frames.shape[1])
        frames = self.dropout(zero_padding(frames, mask))
        allowed = self._allowed(mask, self._drawn() if self.training else self.chunks)
        tapped: dict[Tap, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            before, frames = layer(frames, mask, allowed)
            tapped |= {Tap(number, "before_norm"): before, Tap(number, "after_norm"): frames}
        return EncoderOutput(frames, num_frames, {tap: tapped[tap] for tap in taps})

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return both places: every layer ends in a LayerNorm."""
        return ("after_norm", "before_norm")

    def start(self, num: int) -> StreamState:
        """Return the state of ``num`` streams before their first frame.

        Raises:
            ValueError: the encoder reads all frames before a chunk, or later ones.
        """
        length, kernel = self.chunks.left_frames, self.config.kernel_size
        if length is None:
            raise ValueError("streams need chunk_frames and left_chunks, a limited left context")
        like, dim = self.front_end.mean, self.dim
        before = like.new_zeros(num, kernel - 1, dim)
        layer = LayerState(like.new_zeros(num, length, dim), like.new_zeros(num, length, dim), before)
        counts = torch.zeros(num, dtype=torch.long, device=like.device)
        return StreamState(self.front_end.start(num), (layer,) * self.config.num_layers, counts)

    def step(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Encode the next chunk of N streams, as :meth:`forward` does with the chunks' mask.

        Args:
            features: (N, S * C, F) features of a chunk of C encoder frames.
            state: state after the chunks before it, or :meth:`start`.

        Returns:
            (N, C, D) encoder frames, and the state after them.
        """
        frames, front_end = self.front_end.step(features, state.front_end)
        length = state.layers[0].key.shape[1]
        places = torch.arange(length + frames.shape[1], device=frames.device)
        allowed = (places >= length - state.num_frames[:, None])[:, None]  # (N, 1, L + C)
        layers = []
        for layer, kept in zip(self.layers, state.layers, strict=True):
            assert isinstance(layer, ConformerLayer)
            frames, after = layer.step(frames, kept, allowed)
            layers.append(after)
        counts = (state.num_frames + frames.shape[1]).clamp(max=length)
        return frames, StreamState(front_end, tuple(layers), counts)

    def _steps_suffice(self, taps: Collection[Tap]) -> bool:
        """Whether steps give all that is wanted: in evaluation, with a limited left context."""
        return not self.training and not taps and self.chunks.left_frames is not None

    def _in_steps(self, features: Tensor, num_frames: Tensor) -> EncoderOutput:
        """Encode each of N long utterances chunk by chunk, whose mask would have the square of its frames."""
        size, rate = (self.chunks.frames or 1) * self.subsampling, self.subsampling
        encoded = []
        for utterance, length in zip(features, num_frames.tolist(), strict=True):
            whole = nn.functional.pad(utterance[:length], (0, 0, 0, -length % rate))
            state, chunks = self.start(1), []
            for first in range(0, len(whole), size):
                frames, state = self.step(whole[None, first : first + size], state)
                chunks.append(frames[0])
            encoded.append(torch.cat(chunks) if chunks else features.new_zeros(0, self.dim))
        counts = torch.tensor([len(frames) for frames in encoded], device=features.device)
        return EncoderOutput(pad_sequence(encoded, batch_first=True), counts, {})

    def _drawn(self) -> Chunks:
        """Draw the chunk size of a training batch; the left context stays as long, in whole chunks."""
        sizes, usual = self.config.drawn_chunk_frames, self.chunks
        if not sizes:
            return usual
        size = sizes[int(torch.randint(len(sizes), ()))]
        if size == 0:
            return Chunks(None, None)
        left = usual.left_frames
        return Chunks(size, None if left is None else -(-left // size))

    def _allowed(self, mask: Tensor, chunks: Chunks) -> Tensor:
        """Return the keys in reach: real frames (N, 1, T), in streaming those of near chunks (N, T, T)."""
        keys = mask[:, None, :]
        if chunks.frames is None:
            return keys
        reach = chunk_mask(mask.shape[1], chunks.frames, chunks.left)
        return keys & reach.to(mask.device)
