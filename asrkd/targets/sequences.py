"""Token sequences as targets, and the transcript as their source.

Letters: N utterances, S sequences, U tokens after padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens


@dataclass(frozen=True)
class SequenceTargets:
    """Token sequences for the utterances of a batch: one, several or none for each."""

    tokens: Tensor  # (S, U) int64, padded with blank
    num_tokens: Tensor  # (S,) int64
    utterance: Tensor  # (S,) int64, the row of the batch that each belongs to
    weight: Tensor  # (S,), its factor in the sum of losses
    share: Tensor  # (S,), its factor in the number of tokens that the sum is divided by; 1 an utterance

    def to(self, device: torch.device) -> "SequenceTargets":
        """The same on another device."""
        fields = (self.tokens, self.num_tokens, self.utterance, self.weight, self.share)
        return SequenceTargets(*(field.to(device) for field in fields))


def collate(
    sequences: Sequence[Sequence[list[int]]], weights: Sequence[Sequence[float]] | None = None
) -> SequenceTargets:
    """Pad sequences into tensors.

    Args:
        sequences: for each utterance its token sequences; some may have none.
        weights: of each, in the same form; None: those of an utterance share a weight of 1 equally.
    """
    shares = [[1 / len(own) for _ in own] for own in sequences]
    flat = [(row, tokens) for row, own in enumerate(sequences) for tokens in own]
    longest = max((len(tokens) for _, tokens in flat), default=0)
    padded = torch.zeros(len(flat), max(longest, 1), dtype=torch.long)
    for index, (_, tokens) in enumerate(flat):
        padded[index, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
    return SequenceTargets(
        tokens=padded,
        num_tokens=torch.tensor([len(tokens) for _, tokens in flat], dtype=torch.long),
        utterance=torch.tensor([row for row, _ in flat], dtype=torch.long),
        weight=_flat(shares if weights is None else weights),
        share=_flat(shares),
    )


def _flat(values: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor([value for own in values for value in own], dtype=torch.float32)


def encode(tokens: Tokens, text: str, cut_id: str) -> list[int]:
    """Token ids of ``text``; AsrkdError, which names the cut, if no token spells something in it."""
    try:
        return tokens.encode(text)
    except AsrkdError as error:
        raise AsrkdError(f"cut {cut_id}: {error}") from None
