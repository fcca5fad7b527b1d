"""Decoder of "Listen, attend and spell": GRUs with content- and location-aware attention.

Source: Mun'im, Inoue and Shinoda, arXiv:1811.04531, section 3 (embeddings of
32, GRU layers, attention with a convolution of 128 kernels of size 15 over
the last alignment), after Chorowski et al., arXiv:1506.07503, equation 9:
energy = v . tanh(W state + V frame + U * last alignment + b).

The paper does not specify how the context enters the GRU and the output. Here
the context of the last step is projected and added to the embedding, and the
output layer reads state and context, which gives the paper's numbers of
parameters.

Notation: N utterances, S or B sequences, T encoder frames, E their size, D
size of the GRU, L layers of it, A channels of the attention, U tokens, V
tokens of the inventory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd.models.config import LasDecoderConfig
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.memory import Memory
from asrkd.models.stepwise import Decoder, StepState, decoder_inputs, in_float32


@dataclass(frozen=True)
class LasState:
    """State of the decoder after the tokens so far of B sequences."""

    hidden: tuple[Tensor, ...]  # (B, D) of each GRU layer
    alignment: Tensor  # (B, T) of the last step; 0 before the first
    context: Tensor  # (B, E) of the last step; 0 before the first
    memory: Memory  # frames (.., T, E), their keys (.., T, A), and their mask (.., T)

    def take(self, places: Tensor) -> "LasState":
        """Select the states of the sequences at ``places`` (B',) int64, which may repeat."""
        hidden = tuple(layer[places] for layer in self.hidden)
        return LasState(hidden, self.alignment[places], self.context[places], self.memory.take(places))


class LocationAwareAttention(nn.Module):
    """Additive attention to encoder frames, given the last alignment."""

    def __init__(self, dim: int, encoder_dim: int, channels: int, kernel_size: int) -> None:
        """Create the projections and the convolution with random weights.

        Args:
            dim: D of the query states.
            encoder_dim: E of the encoder frames.
            channels: A of the convolution, and of the query and keys added to it.
            kernel_size: width of the convolution in frames, an odd number.
        """
        super().__init__()
        self.query = nn.Linear(dim, channels)
        self.key = nn.Linear(encoder_dim, channels, bias=False)
        self.location = nn.Conv1d(1, channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.energy = nn.Linear(channels, 1, bias=False)

    def forward(self, state: Tensor, last: Tensor, keys: Tensor, real: Tensor) -> Tensor:
        """Compute the new alignment (B, T), in float32.

        Args:
            state: (B, D) query states.
            last: (B, T) alignment of the last step, 0 at padding.
            keys: (B, T, A) output of :attr:`key` for the frames.
            real: (B, T) boolean, True at real frames.
        """
        where = self.location(last[:, None]).transpose(1, 2)  # (B, T, A)
        energies = self.energy(torch.tanh(self.query(state)[:, None] + keys + where))[..., 0].float()
        weights: Tensor = energies.masked_fill(~real, torch.finfo(energies.dtype).min).softmax(dim=-1)
        return weights * real


class LasDecoder(Decoder):
    """Embedding, GRU layers and attention: tokens so far and speech to logits of the next token."""

    def __init__(self, config: LasDecoderConfig, num_tokens: int, encoder_dim: int) -> None:
        """Build for V tokens and frames of size ``encoder_dim``."""
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, config.embedding_dim)
        self.feed = nn.Linear(encoder_dim, config.embedding_dim, bias=False)
        sizes = [config.embedding_dim] + [config.dim] * (config.num_layers - 1)
        self.layers = nn.ModuleList(nn.GRUCell(size, config.dim) for size in sizes)
        self.attention = LocationAwareAttention(
            config.dim, encoder_dim, config.attention_channels, config.attention_kernel_size
        )
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.dim + encoder_dim, num_tokens)
        self.dim = config.dim

    def forward(
        self, encoded: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, utterance: Tensor
    ) -> Tensor:
        """Compute (S, U + 1, V) logits; see :meth:`Decoder.forward`."""
        state, logits = self.start(encoded, num_frames).take(utterance), []
        for inputs in decoder_inputs(tokens, num_tokens).unbind(dim=1):
            next_logits, state = self._advance(inputs, state)
            logits.append(next_logits)
        return torch.stack(logits, dim=1)

    def start(self, encoded: Tensor, num_frames: Tensor) -> LasState:
        """Return the state before the first token, given (N, T, E) encoder frames, (N,) of them real."""
        n, t, size = encoded.shape
        real = frame_mask(num_frames, t)
        frames = zero_padding(encoded, real)
        hidden = tuple(frames.new_zeros(n, self.dim) for _ in self.layers)
        memory = Memory.of(frames, self.attention.key(frames), real)
        return LasState(hidden, frames.new_zeros(n, t), frames.new_zeros(n, size), memory)

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, LasState]:
        """Return (B, V) log-probabilities of the token after ``tokens`` (B,), and the state after them."""
        assert isinstance(state, LasState)
        logits, after = self._advance(tokens, state)
        return in_float32(logits), after

    def _advance(self, tokens: Tensor, state: LasState) -> tuple[Tensor, LasState]:
        """Return (B, V) logits after the (B,) ``tokens``, and the state after them."""
        frames, keys, real = state.memory.rows
        below = self.dropout(self.embedding(tokens) + self.feed(state.context))
        hidden = []
        for layer, before in zip(self.layers, state.hidden, strict=True):
            with torch.autocast(tokens.device.type, enabled=False):  # torch 1.13 has no GRU in bf16 on CPU
                hidden.append(layer(below.float(), before.float()))
            below = self.dropout(hidden[-1])
        alignment = self.attention(hidden[-1], state.alignment, keys, real)
        context = (alignment[:, None].to(frames.dtype) @ frames)[:, 0]
        logits: Tensor = self.out(torch.cat([below, self.dropout(context.to(below.dtype))], dim=-1))
        return logits, LasState(tuple(hidden), alignment, context, state.memory)
