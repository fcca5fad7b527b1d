"""Encoded utterances shared by their hypotheses, as the memory that decoders attend to.

Notation: N utterances, B sequences, each of one utterance, P sequences of the
utterance that has the most, U query positions of each.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """Tensors of N utterances, and the utterance of each of B sequences.

    The hypotheses of an utterance share its encoding, so functions of the
    encoding are computed once. Attention that treats each query position by
    itself groups the queries by utterance (:meth:`by_utterance`), and copies
    nothing; other attention reads :attr:`rows`.
    """

    utterances: tuple[Tensor, ...]  # each (N, ...)
    utterance: Tensor  # (B,) int64, of each sequence

    @classmethod
    def of(cls, *utterances: Tensor) -> "Memory":
        """Build the memory of N sequences, one an utterance, of tensors (N, ...)."""
        return cls(utterances, torch.arange(len(utterances[0]), device=utterances[0].device))

    def take(self, places: Tensor) -> "Memory":
        """Select the sequences at ``places`` (B',) int64; utterances without sequences are dropped."""
        utterance = self.utterance[places]
        if torch.equal(utterance, self.utterance):  # a beam whose order changed
            return self
        present, renumbered = utterance.unique(return_inverse=True)
        if len(present) == len(self.utterances[0]):
            return Memory(self.utterances, utterance)
        return Memory(tuple(values[present] for values in self.utterances), renumbered)

    @cached_property
    def rows(self) -> tuple[Tensor, ...]:
        """The tensors, repeated for each sequence, (B, ...)."""
        return tuple(values[self.utterance] for values in self.utterances)

    def by_utterance(self, queries: Tensor) -> Tensor:
        """Group the query positions (B, U, D) of each utterance: (N, P U, D), padded with 0."""
        slots, width = self._slots
        count = len(self.utterances[0])
        if len(slots) == count * width:  # each utterance has P sequences; only their order may differ
            grid = queries if self._in_order else queries[slots.argsort()]
        else:
            grid = queries.new_zeros(count * width, *queries.shape[1:]).index_copy(0, slots, queries)
        return grid.reshape(count, width * queries.shape[1], queries.shape[2])

    def by_sequence(self, grouped: Tensor) -> Tensor:
        """Undo the grouping of :meth:`by_utterance`: (N, P U, D) to (B, U, D)."""
        slots, width = self._slots
        grid = grouped.reshape(-1, grouped.shape[1] // width, grouped.shape[2])
        return grid if self._in_order else grid[slots]

    @cached_property
    def _slots(self) -> tuple[Tensor, int]:
        """Slot of each sequence in a grid (N, P), (B,); and P."""
        order = self.utterance.argsort(stable=True)
        counts = torch.bincount(self.utterance, minlength=len(self.utterances[0]))
        first = counts.cumsum(0) - counts
        column = torch.empty_like(order)
        column[order] = torch.arange(len(order), device=order.device) - first[self.utterance[order]]
        width = max(int(counts.max()), 1) if len(counts) else 1
        return self.utterance * width + column, width

    @cached_property
    def _in_order(self) -> bool:
        """Whether every slot is used, in the order of the sequences."""
        slots, width = self._slots
        full = len(self.utterances[0]) * width
        return len(slots) == full and torch.equal(slots, torch.arange(full, device=slots.device))
