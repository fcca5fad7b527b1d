"""Transcripts as targets."""

from collections.abc import Sequence

from lhotse import MonoCut

from asrkd.data.cuts.records import is_transcribed, records, reference, transcript
from asrkd.data.tokens import Tokens
from asrkd.targets.sequences import SequenceTargets, collate, encode
from asrkd.targets.sources.base import ReadSource, Selection, Watch, ignore


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
