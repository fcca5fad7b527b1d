"""Stepwise models of a few numbers: what a step says can be worked out by hand."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class BigramState:
    """The audio's say about each sequence's tokens, (B, V), and how long the sequences are."""

    bias: Tensor
    length: int

    def take(self, places: Tensor) -> "BigramState":
        return BigramState(self.bias[places], self.length)


class Bigram:
    """P(next | last, place, audio): a table's row plus the mean of the real frames, through a softmax."""

    def __init__(self, table: Tensor, hears: bool = True) -> None:
        """Take (V, V) scores, or (L, V, V) by the tokens before; a language model does not hear."""
        self.table, self.hears = table, hears
        self.asked: list[int] = []  # sequences in each step

    def start(self, encoded: Tensor, num_frames: Tensor) -> BigramState:
        if not self.hears:
            return BigramState(torch.zeros(len(num_frames), self.table.shape[-1]), 0)
        rows = [own[:count].mean(dim=0) for own, count in zip(encoded, num_frames.tolist(), strict=True)]
        return BigramState(torch.stack(rows), 0)

    def step(self, tokens: Tensor, state: BigramState) -> tuple[Tensor, BigramState]:
        self.asked.append(len(tokens))
        table = self.table if self.table.dim() == 2 else self.table[state.length]
        after = BigramState(state.bias, state.length + 1)
        return (table[tokens] + state.bias).log_softmax(dim=-1), after


@dataclass(frozen=True)
class GruState:
    """What the GRU remembers, (B, D), and the audio that it hears at every step, (B, D)."""

    hidden: Tensor
    audio: Tensor

    def take(self, places: Tensor) -> "GruState":
        return GruState(self.hidden[places], self.audio[places])


class Gru(nn.Module):
    """A GRU cell over embedded tokens: all tokens so far matter."""

    def __init__(self, num_tokens: int, dim: int, spread: float = 3.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, dim)
        self.cell = nn.GRUCell(2 * dim, dim)
        self.head = nn.Linear(dim, num_tokens)
        self.spread = spread

    def start(self, encoded: Tensor, num_frames: Tensor) -> GruState:
        rows = [own[:count].mean(dim=0) for own, count in zip(encoded, num_frames.tolist(), strict=True)]
        audio = torch.stack(rows)
        return GruState(torch.tanh(audio), audio)

    def step(self, tokens: Tensor, state: GruState) -> tuple[Tensor, GruState]:
        hidden = self.cell(torch.cat([self.embedding(tokens), state.audio], dim=1), state.hidden)
        log_probs = (self.spread * self.head(hidden)).log_softmax(dim=-1)
        return log_probs, GruState(hidden, state.audio)
