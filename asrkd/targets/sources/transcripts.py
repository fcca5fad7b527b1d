"""Token sequences as targets, and the transcript as their source.

Letters: N utterances, S sequences, U tokens after padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import CutRecord, records
from asrkd.data.tokens import Tokens
from asrkd.targets.sources.base import ReadSource, Selection, Watch, ignore


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


def is_transcribed(texts: Sequence[str | None]) -> bool:
    """Whether supervisions with these texts make a transcript."""
    return bool(texts) and None not in texts


def transcript(cut: MonoCut) -> str:
    """The reference text of a cut, its supervisions joined by spaces.

    Raises:
        AsrkdError: it has none.
    """
    return _joined(cut.id, [supervision.text for supervision in cut.supervisions])


def reference(record: CutRecord) -> str:
    """As :func:`transcript`, of a cut's record; AsrkdError if it has none."""
    return _joined(record.id, record.texts)


def _joined(cut_id: str, texts: Sequence[str | None]) -> str:
    if not is_transcribed(texts):
        raise AsrkdError(
            f"cut {cut_id}: has no transcript; train on stored targets, leave it out, or give the "
            "objective cuts: transcribed"
        )
    return " ".join(text.strip() for text in texts if text is not None)


def encode(tokens: Tokens, text: str, cut_id: str) -> list[int]:
    """Token ids of ``text``; AsrkdError, which names the cut, if no token spells something in it."""
    try:
        return tokens.encode(text)
    except AsrkdError as error:
        raise AsrkdError(f"cut {cut_id}: {error}") from None


class TranscriptSource(ReadSource):
    """What people wrote down, one sequence an utterance."""

    def __init__(self, tokens: Tokens, *, where_there_is_one: bool = False) -> None:
        """Take transcripts as ``tokens``.

        Args:
            tokens: of the student.
            where_there_is_one: cuts without a transcript have no sequence; else they are an error.
        """
        self.tokens, self.where_there_is_one = tokens, where_there_is_one

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """The tokens of each cut's transcript; AsrkdError as of :meth:`verify`."""
        return collate([self._sequences(cut) for cut in cuts])

    def examine(self, cuts: Sequence[MonoCut], watch: Watch = ignore) -> Selection:
        """Which cuts have one; AsrkdError at the first that should have, or has unknown symbols."""
        ids = set()
        for record in records(cuts):
            if self.where_there_is_one and not is_transcribed(record.texts):
                continue
            watch(record, encode(self.tokens, reference(record), record.id))
            ids.add(record.id)
        return Selection(ids)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError at the first cut whose transcript is missing or has unknown symbols."""
        self.examine(cuts)

    def _sequences(self, cut: MonoCut) -> list[list[int]]:
        texts = [supervision.text for supervision in cut.supervisions]
        if self.where_there_is_one and not is_transcribed(texts):
            return []
        return [encode(self.tokens, transcript(cut), cut.id)]
