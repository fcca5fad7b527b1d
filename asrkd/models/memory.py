"""What a decoder attends to: tensors of encoded utterances, shared by the sequences that belong to them.

Letters: N utterances, B sequences, each of one of the utterances, P the most
of them that one utterance has, U positions of each that ask.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """Tensors of utterances, and which of them each sequence belongs to.

    The hypotheses of an utterance share its encoding; what is computed of the
    encoding alone is computed once. Attention that sees each position by
    itself is asked by utterance (:meth:`by_utterance`), so that nothing is
    copied; what depends on the sequence as well has :attr:`rows`.
    """

    utterances: tuple[Tensor, ...]  # each (N, ...)
    utterance: Tensor  # (B,) int64, of each sequence

    @classmethod
    def of(cls, *utterances: Tensor) -> "Memory":
        """The memory of N sequences, one an utterance, given tensors (N, ...)."""
        return cls(utterances, torch.arange(len(utterances[0]), device=utterances[0].device))

    def take(self, places: Tensor) -> "Memory":
        """That of the sequences at ``places`` (B',) int64; utterances that have none left are dropped."""
        utterance = self.utterance[places]
        if torch.equal(utterance, self.utterance):  # a beam whose order changed
            return self
        present, renumbered = utterance.unique(return_inverse=True)
        if len(present) == len(self.utterances[0]):
            return Memory(self.utterances, utterance)
        return Memory(tuple(own[present] for own in self.utterances), renumbered)

    @cached_property
    def rows(self) -> tuple[Tensor, ...]:
        """Each tensor as its sequences need it, (B, ...)."""
        return tuple(own[self.utterance] for own in self.utterances)

    def by_utterance(self, asking: Tensor) -> Tensor:
        """Positions that ask, (B, U, D), side by side for each utterance: (N, P U, D), 0 beyond them."""
        slots, most = self._slots
        count = len(self.utterances[0])
        if len(slots) == count * most:  # each utterance has as many; only their order may differ
            grid = asking if self._in_order else asking[slots.argsort()]
        else:
            grid = asking.new_zeros(count * most, *asking.shape[1:]).index_copy(0, slots, asking)
        return grid.reshape(count, most * asking.shape[1], asking.shape[2])

    def by_sequence(self, answers: Tensor) -> Tensor:
        """What :meth:`by_utterance` has asked for, (N, P U, D), for each sequence again: (B, U, D)."""
        slots, most = self._slots
        grid = answers.reshape(-1, answers.shape[1] // most, answers.shape[2])
        return grid if self._in_order else grid[slots]

    @cached_property
    def _slots(self) -> tuple[Tensor, int]:
        """The slot of each sequence in a grid (N, P), (B,), and P."""
        order = self.utterance.argsort(stable=True)
        counts = torch.bincount(self.utterance, minlength=len(self.utterances[0]))
        first = counts.cumsum(0) - counts
        among = torch.empty_like(order)
        among[order] = torch.arange(len(order), device=order.device) - first[self.utterance[order]]
        most = max(int(counts.max()), 1) if len(counts) else 1
        return self.utterance * most + among, most

    @cached_property
    def _in_order(self) -> bool:
        slots, most = self._slots
        full = len(self.utterances[0]) * most
        return len(slots) == full and torch.equal(slots, torch.arange(full, device=slots.device))
