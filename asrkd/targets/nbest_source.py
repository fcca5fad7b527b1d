"""A teacher's stored hypotheses as targets, weighed and filtered as they are read.

Seq-KD prints data expansion: the k hypotheses of an utterance are k examples,
and an epoch is k times as long. Here a visit takes all k by default, each
with a k-th of the weight, which is the expectation of k such updates at the
cost of one encoding. With ``expand`` a visit takes one hypothesis, and an
epoch goes over the cuts k times, so that each has been taken once in it. Ours
in that: every pass holds each cut once (the paper shuffles all k N pairs
together), and lists shorter than k come round again. Where a phase's length
is given in ``epochs``, these are k times the updates of the first plan; the
plans of other passes may have a batch or two more or less, so that by its
last update a few cuts may lack a visit, or have had one too many.
"""

import copy
import zlib
from collections.abc import Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.cut_records import CutRecord
from asrkd.targets.nbest import Nbest
from asrkd.targets.nbest_lists import NbestLists
from asrkd.targets.selection import Selection, Watch, ignore
from asrkd.targets.sequence_settings import TRANSCRIPT, SequenceSettings
from asrkd.targets.sequences import SequenceTargets, TranscriptSource, collate, encode
from asrkd.targets.target_source import ReadSource
from asrkd.tokens import Tokens


class NbestSource(ReadSource):
    """A teacher's best hypotheses, tokenised anew for the student."""

    def __init__(self, path: Path, tokens: Tokens, settings: SequenceSettings) -> None:
        """Open the store at ``path``.

        Raises:
            AsrkdError: it cannot be read, or lacks what the settings need.
        """
        self.lists, self.tokens, self.settings = NbestLists(path, settings), tokens, settings
        self.epoch: int | None = None

    def of_epoch(self, epoch: int) -> "NbestSource":
        """The source as it is in an epoch, counted from 0; one that does not expand is always the same."""
        if not self.settings.expand:
            return self
        source = copy.copy(self)
        source.epoch = epoch
        return source

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """The tokens of each cut's hypotheses with their weights, as many as the settings leave."""
        rules = self.lists.rules()
        sequences, weights = [], []
        for cut in cuts:
            texts, own = self._of_visit(cut.id, self.lists.of_cut(cut, rules))
            sequences.append([encode(self.tokens, text, cut.id) for text in texts])
            weights.append(own)
        return collate(sequences, weights)

    def examine(self, cuts: Sequence[MonoCut], watch: Watch = ignore) -> Selection:
        """Which cuts have hypotheses left, and what became of the others.

        Raises:
            AsrkdError: a cut has no hypotheses, or ones made of other audio, or that cannot be
                tokenised, or they lack the word errors that the settings need.
        """

        def check(record: CutRecord, found: Nbest) -> None:
            for text in found.texts:
                watch(record, encode(self.tokens, text, record.id))

        return self.lists.examine(cuts, check)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has hypotheses, made of its own audio, that can be tokenised."""
        self.examine(cuts)

    def _of_visit(self, cut_id: str, found: Nbest) -> tuple[list[str], list[float]]:
        """The texts that a visit takes, with their weights."""
        if not found.hypotheses:
            return [], []
        weights = self.lists.weights(found)
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
