"""Transformer decoder with a key-value cache for decoding one token at a time.

Source: Vaswani et al., "Attention is all you need", arXiv:1706.03762, section 3.

Departures: pre-norm layers, as in the Conformer; rotary positions (see
:mod:`asrkd.models.attention`), so the length of sequences is unlimited.

Notation: N utterances, S or B sequences, T encoder frames, E their size, U
tokens, D model size, H heads, K = D / H, V tokens of the inventory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd.models.attention import CrossAttention, RotarySelfAttention
from asrkd.models.config import TransformerLayers
from asrkd.models.layers import FeedForward, LayerNorm
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.memory import Memory
from asrkd.models.stepwise import Decoder, StepState, decoder_inputs, in_float32

Past = tuple[Tensor, Tensor]  # keys and values of a layer, each (B, H, P, K), for the P tokens so far


@dataclass(frozen=True)
class TransformerState:
    """State of a Transformer decoder after the tokens so far of B sequences of equal length."""

    past: tuple[Past, ...]  # keys and values of each layer; empty before the first token
    memory: Memory  # each layer's keys and values over speech, and the mask; of a language model, N alone

    def take(self, places: Tensor) -> "TransformerState":
        """Select the states of the sequences at ``places`` (B',) int64, which may repeat."""
        past = tuple((key[places], value[places]) for key, value in self.past)
        return TransformerState(past, self.memory.take(places))


@dataclass(frozen=True)
class CrossKeys:
    """Keys and values of a layer over the speech of N utterances."""

    memory: Memory  # maps sequences to the utterances
    key: Tensor  # (N, H, T, K)
    value: Tensor  # (N, H, T, K)
    real: Tensor  # (N, 1, T) boolean, True at real frames


class DecoderLayer(nn.Module):
    """Decoder layer: self-attention, cross-attention (in a decoder of speech), feed-forward."""

    def __init__(self, config: TransformerLayers, encoder_dim: int | None) -> None:
        """Build for frames of size ``encoder_dim``; None for a language model."""
        super().__init__()
        dim, dropout = config.dim, config.dropout
        self.attention_norm = LayerNorm(dim)
        self.attention = RotarySelfAttention(dim, config.num_heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.cross_norm = None if encoder_dim is None else LayerNorm(dim)
        self.cross = (
            None if encoder_dim is None else CrossAttention(dim, encoder_dim, config.num_heads, dropout)
        )
        self.feed_forward = FeedForward(config, nn.ReLU())

    def forward(
        self, positions: Tensor, past: Past | None, speech: "CrossKeys | None", allowed: Tensor
    ) -> tuple[Tensor, Past]:
        """Return the layer's output (B, U, D), and its past with these tokens, each (B, H, P + U, K).

        Args:
            positions: (B, U, D) values at the tokens after the past.
            past: keys and values of the P tokens before; None: no tokens.
            speech: keys and values over speech; None in a language model.
            allowed: (U, P + U) boolean, True where a token (row) attends to another (column).
        """
        first = 0 if past is None else past[0].shape[2]
        query, key, value = self.attention.heads(self.attention_norm(positions), first)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        positions = positions + self.dropout(self.attention.attend(query, key, value, allowed[None]))
        if self.cross is not None and self.cross_norm is not None and speech is not None:
            queries = speech.memory.by_utterance(self.cross_norm(positions))
            attended = self.cross(queries, speech.key, speech.value, speech.real)
            positions = positions + self.dropout(speech.memory.by_sequence(attended))
        return positions + self.feed_forward(positions), (key, value)


class TransformerDecoder(Decoder):
    """Embedding and decoder layers: tokens so far, and speech if any, to logits of the next token."""

    def __init__(self, config: TransformerLayers, num_tokens: int, encoder_dim: int | None) -> None:
        """Build for V tokens and frames of size ``encoder_dim``; None: a language model."""
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(DecoderLayer(config, encoder_dim) for _ in range(config.num_layers))
        self.norm = LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, num_tokens)

    def forward(
        self, encoded: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, utterance: Tensor
    ) -> Tensor:
        """Compute (S, U + 1, V) logits; see :meth:`Decoder.forward`."""
        state = self.start(encoded, num_frames).take(utterance)
        logits, _ = self._advance(decoder_inputs(tokens, num_tokens), state)
        return logits

    def start(self, encoded: Tensor, num_frames: Tensor) -> TransformerState:
        """Return the state before the first token, given (N, T, E) encoder frames, (N,) of them real."""
        mask = frame_mask(num_frames, encoded.shape[1])
        frames = zero_padding(encoded, mask)
        crosses = [layer.cross for layer in self.layers if isinstance(layer.cross, CrossAttention)]
        keys_values = [part for cross in crosses for part in cross.memory(frames)]
        return TransformerState((), Memory.of(*keys_values, mask[:, None]))

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, TransformerState]:
        """Return (B, V) log-probabilities of the token after ``tokens`` (B,), and the state after them."""
        assert isinstance(state, TransformerState)
        logits, after = self._advance(tokens[:, None], state)
        return in_float32(logits[:, 0]), after

    def _advance(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """Return (B, U, V) logits after each of the (B, U) ``tokens``, and the state after all of them."""
        positions = self.dropout(self.embedding(tokens))
        before = state.past[0][0].shape[2] if state.past else 0
        place = torch.arange(before + tokens.shape[1], device=tokens.device)
        allowed = place <= place[before:, None]
        *keys_values, real = state.memory.utterances
        past = []
        for number, layer in enumerate(self.layers):
            key_value = keys_values[2 * number : 2 * number + 2]
            speech = CrossKeys(state.memory, key_value[0], key_value[1], real) if key_value else None
            layer_past = state.past[number] if state.past else None
            positions, layer_past = layer(positions, layer_past, speech, allowed)
            past.append(layer_past)
        logits: Tensor = self.out(self.norm(positions))
        return logits, TransformerState(tuple(past), state.memory)
