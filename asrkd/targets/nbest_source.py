"""A teacher's stored hypotheses as targets, weighed and filtered as they are read.

Seq-KD prints data expansion: the k hypotheses of an utterance are k examples,
and an epoch is k times as long. Here a visit takes all k by default, each
with a k-th of the weight, which is the expectation of k such updates at the
cost of one encoding. With ``expand`` a visit takes one hypothesis, and an
epoch goes over the cuts k times, so that each has been taken once in it. Ours
in that: every pass holds each cut once (the paper shuffles all k N pairs
together), and lists shorter than k come round again.
"""

import copy
import zlib
from collections.abc import Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.cut_records import CutRecord, records
from asrkd.errors import AsrkdError
from asrkd.targets.list_filters import ListFilter
from asrkd.targets.nbest import Nbest
from asrkd.targets.nbest_store import NbestStore
from asrkd.targets.selection import Selection
from asrkd.targets.sequence_settings import TRANSCRIPT, SequenceSettings, WeightSettings
from asrkd.targets.sequence_weights import WeightHistogram, list_weights
from asrkd.targets.sequences import SequenceTargets, TranscriptSource, collate, encode, is_transcribed
from asrkd.targets.target_source import ReadSource
from asrkd.tokens import Tokens


class NbestSource(ReadSource):
    """A teacher's best hypotheses, tokenised anew for the student."""

    def __init__(self, path: Path, tokens: Tokens, settings: SequenceSettings) -> None:
        """Open the store at ``path``.

        Raises:
            AsrkdError: it cannot be read, or lacks what the settings need.
        """
        self.store, self.tokens, self.settings = NbestStore(path), tokens, settings
        self.epoch: int | None = None
        wanted = settings.filter
        for name in ("min_confidence", "tokens_per_second"):
            if getattr(wanted, name) is not None:
                self.store.require_tokens(f"filter.{name}")

    def of_epoch(self, epoch: int) -> "NbestSource":
        """The source as it is in an epoch, counted from 0; one that does not expand is always the same."""
        if not self.settings.expand:
            return self
        source = copy.copy(self)
        source.epoch = epoch
        return source

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """The tokens of each cut's hypotheses with their weights, as many as the settings leave."""
        rules = ListFilter(self.settings.filter)
        sequences, weights = [], []
        for cut in cuts:
            texts = [supervision.text for supervision in cut.supervisions]
            own, weighed = self._of_visit(cut.id, self._list(cut.id, texts, cut.duration, rules))
            sequences.append([encode(self.tokens, text, cut.id) for text in own])
            weights.append(weighed)
        return collate(sequences, weights)

    def examine(self, cuts: Sequence[MonoCut]) -> Selection:
        """Which cuts have hypotheses left, and what became of the others.

        Raises:
            AsrkdError: a cut has no hypotheses, or ones made of other audio, or that cannot be
                tokenised, or they lack the word errors that the settings need.
        """
        kept = [row for row, record in enumerate(records(cuts)) if self._is_about(record.texts)]
        self.store.verify(cuts if len(kept) == len(cuts) else [cuts[row] for row in kept])
        rules, histogram, ids = ListFilter(self.settings.filter), WeightHistogram(), set()
        for record in (records(cuts)[row] for row in kept):
            found = self._examined(record, rules)
            if found.hypotheses:
                ids.add(record.id)
                histogram.add(self._weights(found))
        told = rules.lines() + ([] if self.settings.weights == WeightSettings() else [histogram.text()])
        return Selection(ids, [f"{self.store.path}: {line}" for line in told])

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has hypotheses, made of its own audio, that can be tokenised."""
        self.examine(cuts)

    def _examined(self, record: CutRecord, rules: ListFilter) -> Nbest:
        found = self._list(record.id, record.texts, record.duration, rules)
        for text in found.texts:
            encode(self.tokens, text, record.id)
        return found

    def _is_about(self, texts: Sequence[str | None]) -> bool:
        return self.settings.cuts == "all" or (self.settings.cuts == "transcribed") == is_transcribed(texts)

    def _list(self, cut_id: str, texts: Sequence[str | None], seconds: float, rules: ListFilter) -> Nbest:
        """What the settings leave of a cut's hypotheses."""
        if not self._is_about(texts):
            return Nbest((), None)
        stored = self.store.read(cut_id)
        if self.settings.needs_errors and stored.num_words is None:
            raise AsrkdError(
                f"cut {cut_id}: weights.beta and filter.max_wer need word errors, and it had no transcript "
                f"when {self.store.path} was made; give the objective cuts: transcribed (and list it again "
                f"without them for cuts: untranscribed), or add transcripts and make the store anew: "
                f"rm -r {self.store.path}; {self.store.remake}"
            )
        best = Nbest(stored.hypotheses[: self.settings.num_hypotheses], stored.num_words)
        return rules(cut_id, best, seconds)

    def _weights(self, found: Nbest) -> list[float]:
        return list_weights(found.log_probs, found.wers, self.settings.weights)

    def _of_visit(self, cut_id: str, found: Nbest) -> tuple[list[str], list[float]]:
        """The texts that a visit takes, with their weights."""
        if not found.hypotheses:
            return [], []
        weights = self._weights(found)
        if self.epoch is None or not self.settings.expand:
            return found.texts, weights
        # Cuts begin at different ranks, or all bests would come in one pass and all seconds in the next.
        rank = (self.epoch + zlib.crc32(cut_id.encode())) % len(weights)
        return [found.texts[rank]], [weights[rank] * len(weights)]


def sequence_source(settings: SequenceSettings, tokens: Tokens) -> TranscriptSource | NbestSource:
    """The source that an objective's settings describe; ``tokens`` are the student's."""
    if settings.targets == TRANSCRIPT:
        return TranscriptSource(tokens, where_there_is_one=settings.cuts == "transcribed")
    return NbestSource(Path(settings.targets), tokens, settings)
