"""Token sequences as targets: batches of sequences, and tokenization of texts.

Notation: N utterances, S sequences, U tokens after padding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens


@dataclass(frozen=True)
class SequenceTargets:
    """Token sequences for the utterances of a batch: one, several or none for each."""

    tokens: Tensor  # (S, U) int64, padded with blank
    num_tokens: Tensor  # (S,) int64
    utterance: Tensor  # (S,) int64, row of the batch
    weight: Tensor  # (S,), factor in the sum of losses
    share: Tensor  # (S,), factor in the number of tokens that divides the sum; 1 in sum for an utterance
    log_prob: Tensor | None = None  # (S,), the teacher's log P(sequence | audio) in nats; None: no teacher

    def to(self, device: torch.device) -> "SequenceTargets":
        """Return a copy on another device."""
        return self._map(lambda field: field.to(device))

    def take(self, sequences: Tensor) -> "SequenceTargets":
        """Select sequences by their (S',) indexes, int64, without padding that none of them needs."""
        taken = self._map(lambda field: field[sequences])
        longest = max(int(taken.num_tokens.max()), 1) if len(sequences) else 1
        return replace(taken, tokens=taken.tokens[:, :longest])

    def _map(self, change: Callable[[Tensor], Tensor]) -> "SequenceTargets":
        """Return a copy with ``change`` applied to each tensor."""
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return SequenceTargets(
            **{name: change(value) for name, value in present.items() if value is not None}
        )


def collate(
    sequences: Sequence[Sequence[list[int]]],
    weights: Sequence[Sequence[float]] | None = None,
    log_probs: Sequence[Sequence[float]] | None = None,
) -> SequenceTargets:
    """Pad sequences into tensors.

    Args:
        sequences: token sequences of each utterance, maybe none.
        weights: weights of the sequences; if None, the weights of an utterance are equal and sum to 1.
        log_probs: log P of the sequences by a teacher, in nats; None without a teacher.
    """
    shares = [[1 / len(of_utterance) for _ in of_utterance] for of_utterance in sequences]
    flat = [(row, tokens) for row, of_utterance in enumerate(sequences) for tokens in of_utterance]
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
        log_prob=None if log_probs is None else _flat(log_probs),
    )


def _flat(values: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor([value for of_utterance in values for value in of_utterance], dtype=torch.float32)


def encode(tokens: Tokens, text: str, cut_id: str) -> list[int]:
    """Return the token ids of ``text``; AsrkdError, which names the cut, if tokens cannot spell it."""
    try:
        return tokens.encode(text)
    except AsrkdError as error:
        raise AsrkdError(f"cut {cut_id}: {error}") from None
