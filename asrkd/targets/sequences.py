"""Token sequences as targets: the transcript, or a teacher's N-best hypotheses.

Letters: N utterances, S sequences, U tokens after padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.cut_records import CutRecord, records
from asrkd.errors import AsrkdError
from asrkd.targets.nbest_store import NbestStore
from asrkd.targets.target_source import ReadSource
from asrkd.tokens import Tokens

TRANSCRIPT = "transcript"


@dataclass(frozen=True)
class SequenceTargets:
    """One or several token sequences for each utterance of a batch."""

    tokens: Tensor  # (S, U), padded with blank
    num_tokens: Tensor  # (S,)
    utterance: Tensor  # (S,), the row of the batch that each belongs to
    weight: Tensor  # (S,), in the loss; those of an utterance sum to 1

    def to(self, device: torch.device) -> "SequenceTargets":
        """The same on another device."""
        fields = (self.tokens, self.num_tokens, self.utterance, self.weight)
        return SequenceTargets(*(field.to(device) for field in fields))


def collate(sequences: Sequence[Sequence[list[int]]]) -> SequenceTargets:
    """Pad sequences into tensors; those of one utterance share its weight of 1 equally.

    Args:
        sequences: for each utterance its token sequences, at least one.
    """
    flat = [(row, tokens, 1 / len(own)) for row, own in enumerate(sequences) for tokens in own]
    longest = max(len(tokens) for _, tokens, _ in flat)
    padded = torch.zeros(len(flat), max(longest, 1), dtype=torch.long)
    for index, (_, tokens, _) in enumerate(flat):
        padded[index, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
    return SequenceTargets(
        tokens=padded,
        num_tokens=torch.tensor([len(tokens) for _, tokens, _ in flat]),
        utterance=torch.tensor([row for row, _, _ in flat]),
        weight=torch.tensor([weight for _, _, weight in flat]),
    )


def transcript(cut: MonoCut) -> str:
    """The reference text of a cut, its supervisions joined by spaces.

    Raises:
        AsrkdError: it has none.
    """
    return _joined(cut.id, [supervision.text for supervision in cut.supervisions])


def reference(record: CutRecord) -> str:
    """As :func:`transcript`, of a cut's record."""
    return _joined(record.id, record.texts)


def _joined(cut_id: str, texts: Sequence[str | None]) -> str:
    if not texts or any(text is None for text in texts):
        raise AsrkdError(f"cut {cut_id}: has no transcript; train on stored targets, or leave it out")
    return " ".join(text.strip() for text in texts if text is not None)


def encode(tokens: Tokens, text: str, cut_id: str) -> list[int]:
    """Token ids of ``text``; an error names the cut."""
    try:
        return tokens.encode(text)
    except AsrkdError as error:
        raise AsrkdError(f"cut {cut_id}: {error}") from None


class TranscriptSource(ReadSource):
    """What people wrote down, one sequence an utterance."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """The tokens of each cut's transcript."""
        return collate([[encode(self.tokens, transcript(cut), cut.id)] for cut in cuts])

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError at the first cut whose transcript is missing or has unknown symbols."""
        for record in records(cuts):
            encode(self.tokens, reference(record), record.id)


class NbestSource(ReadSource):
    """A teacher's best hypotheses, tokenised anew for the student, all of equal weight."""

    def __init__(self, path: Path, tokens: Tokens, num_hypotheses: int) -> None:
        self.store = NbestStore(path)
        self.tokens = tokens
        self.num_hypotheses = num_hypotheses

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """The tokens of each cut's best hypotheses, at most ``num_hypotheses`` of them."""
        return collate([self._sequences(cut.id) for cut in cuts])

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has hypotheses, made of its own audio, that can be tokenised."""
        self.store.verify(cuts)
        for record in records(cuts):
            self._sequences(record.id)

    def _sequences(self, cut_id: str) -> list[list[int]]:
        texts = self.store.read(cut_id).texts[: self.num_hypotheses]
        return [encode(self.tokens, text, cut_id) for text in texts]


def sequence_source(targets: str, tokens: Tokens, num_hypotheses: int) -> TranscriptSource | NbestSource:
    """The source that a config calls ``targets``: 'transcript', or the path of an N-best store."""
    if targets == TRANSCRIPT:
        return TranscriptSource(tokens)
    return NbestSource(Path(targets), tokens, num_hypotheses)
