"""The decoder of "Listen, attend and spell": GRUs that attend by content and by where they attended last.

Source: Mun'im, Inoue and Shinoda, arXiv:1811.04531, section 3 (embeddings of
32, GRU layers, attention with a convolution of 128 kernels of size 15 over
the last alignment), after Chorowski et al., arXiv:1506.07503, equation 9:
energy = v . tanh(W state + V frame + U * last alignment + b).

The paper leaves open how context reaches the GRU and the output. Here that of
the step before is added, projected, to the embedding, and state and context
go to the output together, which gives the paper's numbers of parameters.

Letters: N utterances, S or B sequences, T encoder frames, E their size, D
size of the GRU, L layers of it, A channels of the attention, U tokens, V
tokens of the inventory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd.models.decoder import Decoder, in_float32, told
from asrkd.models.encoder_config import LasDecoderConfig
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.memory import Memory
from asrkd.models.stepwise import StepState


@dataclass(frozen=True)
class LasState:
    """What the decoder remembers of B sequences."""

    hidden: tuple[Tensor, ...]  # of each layer of the GRU, (B, D)
    alignment: Tensor  # (B, T), of the last step; 0 before the first
    context: Tensor  # (B, E), of the last step; likewise
    memory: Memory  # frames (.., T, E), their keys (.., T, A), and which are real (.., T)

    def take(self, places: Tensor) -> "LasState":
        """The states of the sequences at ``places`` (B',) int64, which may repeat."""
        hidden = tuple(own[places] for own in self.hidden)
        return LasState(hidden, self.alignment[places], self.context[places], self.memory.take(places))


class LocationAwareAttention(nn.Module):
    """Additive attention to encoder frames, which knows its last alignment."""

    def __init__(self, dim: int, encoder_dim: int, channels: int, kernel_size: int) -> None:
        """Build.

        Args:
            dim: D of the states that ask.
            encoder_dim: E of the frames that are asked.
            channels: A of the convolution, and of all that is added to it.
            kernel_size: of the convolution, in frames, odd.
        """
        super().__init__()
        self.query = nn.Linear(dim, channels)
        self.key = nn.Linear(encoder_dim, channels, bias=False)
        self.location = nn.Conv1d(1, channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.energy = nn.Linear(channels, 1, bias=False)

    def forward(self, state: Tensor, last: Tensor, keys: Tensor, real: Tensor) -> Tensor:
        """The new alignment (B, T), in float32.

        Args:
            state: (B, D).
            last: (B, T), the alignment before, 0 at padding.
            keys: (B, T, A), what :attr:`key` makes of the frames.
            real: (B, T) boolean.
        """
        where = self.location(last[:, None]).transpose(1, 2)  # (B, T, A)
        energies = self.energy(torch.tanh(self.query(state)[:, None] + keys + where))[..., 0].float()
        weights: Tensor = energies.masked_fill(~real, torch.finfo(energies.dtype).min).softmax(dim=-1)
        return weights * real


class LasDecoder(Decoder):
    """Tokens so far and speech to logits of the next token."""

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
        """(S, U + 1, V) logits; see :meth:`Decoder.forward`."""
        state, logits = self.start(encoded, num_frames).take(utterance), []
        for given in told(tokens, num_tokens).unbind(dim=1):
            following, state = self._advance(given, state)
            logits.append(following)
        return torch.stack(logits, dim=1)

    def start(self, encoded: Tensor, num_frames: Tensor) -> LasState:
        """The state before the first token of (N, T, E) utterances with (N,) ``num_frames`` each."""
        n, t, size = encoded.shape
        real = frame_mask(num_frames, t)
        frames = zero_padding(encoded, real)
        hidden = tuple(frames.new_zeros(n, self.dim) for _ in self.layers)
        memory = Memory.of(frames, self.attention.key(frames), real)
        return LasState(hidden, frames.new_zeros(n, t), frames.new_zeros(n, size), memory)

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, LasState]:
        """(B, V) log-probabilities of what follows the (B,) ``tokens``, and the state after them."""
        assert isinstance(state, LasState)
        logits, after = self._advance(tokens, state)
        return in_float32(logits), after

    def _advance(self, tokens: Tensor, state: LasState) -> tuple[Tensor, LasState]:
        """(B, V) logits after the (B,) ``tokens``, and the state after them."""
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
