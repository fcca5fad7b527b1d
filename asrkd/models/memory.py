"""What a decoder attends to: tensors of encoded utterances, as the sequences that belong to them need them.

Letters: N utterances, B sequences, each of one of the utterances.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """Tensors of utterances, and a row of them for each sequence.

    The hypotheses of an utterance share its encoding; what is computed of the
    encoding alone is computed once.
    """

    utterances: tuple[Tensor, ...]  # each (N, ...)
    utterance: Tensor  # (B,), of each sequence
    rows: tuple[Tensor, ...]  # each (B, ...): those of the utterances of the sequences

    @classmethod
    def of(cls, *utterances: Tensor) -> "Memory":
        """The memory of N sequences, one an utterance."""
        count = torch.arange(len(utterances[0]), device=utterances[0].device)
        return cls(utterances, count, utterances)

    def take(self, places: Tensor) -> "Memory":
        """That of the sequences at ``places`` (B',) int64."""
        utterance = self.utterance[places]
        if torch.equal(utterance, self.utterance):  # a beam whose order changed: the rows are large
            return self
        return Memory(self.utterances, utterance, tuple(own[utterance] for own in self.utterances))
