"""A Transformer decoder, which remembers keys and values when it is asked for a token at a time.

Source: Vaswani et al., "Attention is all you need", arXiv:1706.03762, section 3.

Departures: layers begin with their norms, as in the Conformer; positions are
rotary (see :mod:`asrkd.models.attention`), so there is no longest sequence.

Letters: N utterances, S or B sequences, T encoder frames, E their size, U
tokens, D model size, H heads, K = D / H, V tokens of the inventory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd.models.attention import CrossAttention, RotarySelfAttention
from asrkd.models.decoder import Decoder, in_float32, told
from asrkd.models.encoder_config import TransformerLayers
from asrkd.models.layers import FeedForward, LayerNorm
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.memory import Memory
from asrkd.models.stepwise import StepState

Past = tuple[Tensor, Tensor]  # keys and values of a layer, each (B, H, P, K) of the P tokens so far


@dataclass(frozen=True)
class TransformerState:
    """What a Transformer decoder remembers of B sequences of equal length."""

    past: tuple[Past, ...]  # of each layer; empty before the first token
    memory: Memory  # keys and values of each layer over speech, and which frames are real; or N alone

    def take(self, places: Tensor) -> "TransformerState":
        """The states of the sequences at ``places`` (B',) int64, which may repeat."""
        past = tuple((key[places], value[places]) for key, value in self.past)
        return TransformerState(past, self.memory.take(places))


@dataclass(frozen=True)
class CrossKeys:
    """What a layer attends to of N utterances."""

    memory: Memory  # whose utterances these are
    key: Tensor  # (N, H, T, K)
    value: Tensor  # (N, H, T, K)
    real: Tensor  # (N, 1, T) boolean


class DecoderLayer(nn.Module):
    """Attention to earlier tokens, to speech if there is some, and feed-forward; each added to what came."""

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
        self, positions: Tensor, past: Past | None, speech: "CrossKeys | None", seen: Tensor
    ) -> tuple[Tensor, Past]:
        """The layer's output (B, U, D), and its past with these tokens, each part (B, H, P + U, K).

        Args:
            positions: (B, U, D), of the tokens that follow the past.
            past: of the P tokens before; None: there are none.
            speech: to be attended to; None in a language model.
            seen: (U, P + U) boolean, which tokens each one attends to.
        """
        first = 0 if past is None else past[0].shape[2]
        query, key, value = self.attention.heads(self.attention_norm(positions), first)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        positions = positions + self.dropout(self.attention.attend(query, key, value, seen[None]))
        if self.cross is not None and self.cross_norm is not None and speech is not None:
            asking = speech.memory.by_utterance(self.cross_norm(positions))
            answers = self.cross(asking, speech.key, speech.value, speech.real)
            positions = positions + self.dropout(speech.memory.by_sequence(answers))
        return positions + self.feed_forward(positions), (key, value)


class TransformerDecoder(Decoder):
    """Tokens so far, and speech unless it is a language model, to logits of the next token."""

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
        """(S, U + 1, V) logits; see :meth:`Decoder.forward`."""
        state = self.start(encoded, num_frames).take(utterance)
        logits, _ = self._advance(told(tokens, num_tokens), state)
        return logits

    def start(self, encoded: Tensor, num_frames: Tensor) -> TransformerState:
        """The state before the first token of (N, T, E) utterances with (N,) ``num_frames`` each."""
        mask = frame_mask(num_frames, encoded.shape[1])
        frames = zero_padding(encoded, mask)
        crosses = [layer.cross for layer in self.layers if isinstance(layer.cross, CrossAttention)]
        keys_values = [part for cross in crosses for part in cross.memory(frames)]
        return TransformerState((), Memory.of(*keys_values, mask[:, None]))

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, TransformerState]:
        """(B, V) log-probabilities of what follows the (B,) ``tokens``, and the state after them."""
        assert isinstance(state, TransformerState)
        logits, after = self._advance(tokens[:, None], state)
        return in_float32(logits[:, 0]), after

    def _advance(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """(B, U, V) logits after each of the (B, U) ``tokens``, and the state after them all."""
        positions = self.dropout(self.embedding(tokens))
        before = state.past[0][0].shape[2] if state.past else 0
        place = torch.arange(before + tokens.shape[1], device=tokens.device)
        seen = place <= place[before:, None]
        *keys_values, real = state.memory.utterances
        past = []
        for number, layer in enumerate(self.layers):
            own_pair = keys_values[2 * number : 2 * number + 2]
            speech = CrossKeys(state.memory, own_pair[0], own_pair[1], real) if own_pair else None
            positions, own = layer(positions, state.past[number] if state.past else None, speech, seen)
            past.append(own)
        logits: Tensor = self.out(self.norm(positions))
        return logits, TransformerState(tuple(past), state.memory)
