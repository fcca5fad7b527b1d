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
from collections.abc import Callable, Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import make_anew
from asrkd.data.cuts.records import CutRecord, is_transcribed, records
from asrkd.data.tokens import Tokens
from asrkd.targets.nbest import Nbest
from asrkd.targets.sequences import SequenceTargets, collate, encode
from asrkd.targets.sources.base import ReadSource, Selection, Watch, ignore
from asrkd.targets.sources.nbest_filters import ListFilter
from asrkd.targets.sources.nbest_weights import WeightHistogram, list_weights
from asrkd.targets.sources.nbest_word_errors import stale_errors, was_counted_against
from asrkd.targets.sources.settings import TRANSCRIPT, SequenceSettings, WeightSettings
from asrkd.targets.sources.transcripts import TranscriptSource
from asrkd.targets.store.nbest import NbestStore


class NbestLists:
    """What a store holds, read by settings that are applied anew each time."""

    def __init__(self, path: Path, settings: SequenceSettings) -> None:
        """Open the store at ``path``.

        Raises:
            AsrkdError: it cannot be read, or lacks what the settings need.
        """
        self.store, self.settings = NbestStore(path), settings
        self.unit = self.store.unit
        held = self.store.contract.get("search", {}).get("num_best")
        if "num_hypotheses" in settings.model_fields_set and held and settings.num_hypotheses > held:
            raise AsrkdError(
                f"{path}: num_hypotheses is {settings.num_hypotheses}, and it holds {held} of a cut at most; "
                f"ask for no more, or make a store with --nbest {settings.num_hypotheses}; this one is "
                f"of: {self.store.remake}"
            )
        for name in ("min_confidence", "tokens_per_second"):
            if getattr(settings.filter, name) is not None:
                self.store.require_tokens(f"filter.{name}")

    def rules(self) -> ListFilter:
        """The filters, which have removed nothing yet."""
        return ListFilter(self.settings.filter, self.unit)

    def of_cut(self, cut: MonoCut, rules: ListFilter) -> Nbest:
        """What is left of a cut's hypotheses, maybe nothing."""
        if not self._is_about([supervision.text for supervision in cut.supervisions]):
            return Nbest((), None)
        return rules(cut.id, self._best(cut.id), cut.duration)

    def weights(self, found: Nbest) -> list[float]:
        """The weight of each hypothesis in a list."""
        return list_weights(found.log_probs, found.wers, self.settings.weights)

    def examine(self, cuts: Sequence[MonoCut], check: Callable[[CutRecord, Nbest], None]) -> Selection:
        """Which cuts have hypotheses left, what became of the others, and how weights are spread.

        Args:
            cuts: all that are to be learned from.
            check: is given what is left of each cut's list.

        Raises:
            AsrkdError: a cut has no hypotheses, or ones made of other audio, or
                they lack the word errors that the settings need, or had them
                counted against another transcript than the cut has now.
        """
        kept = [row for row, record in enumerate(records(cuts)) if self._is_about(record.texts)]
        self.store.verify(cuts if len(kept) == len(cuts) else [cuts[row] for row in kept])
        rules, histogram, ids = self.rules(), WeightHistogram(), set()
        about = [records(cuts)[row] for row in kept]
        recount = self.settings.needs_errors and not was_counted_against(self.store.contract, about)
        for record in about:
            best = self._best(record.id)
            if recount:
                self._check_errors(record, best)
            found = rules(record.id, best, record.duration)
            check(record, found)
            if found.hypotheses:
                ids.add(record.id)
                histogram.add(self.weights(found))
        told = rules.lines() + ([] if self.settings.weights == WeightSettings() else [histogram.text()])
        return Selection(ids, [f"{self.store.path}: {line}" for line in told])

    def _is_about(self, texts: Sequence[str | None]) -> bool:
        return self.settings.cuts == "all" or (self.settings.cuts == "transcribed") == is_transcribed(texts)

    def _best(self, cut_id: str) -> Nbest:
        """The best ``num_hypotheses`` of a cut; AsrkdError if they lack the errors that the settings need."""
        stored = self.store.read(cut_id)
        if self.settings.needs_errors and stored.num_words is None:
            raise AsrkdError(
                f"cut {cut_id}: weights.beta and filter.max_wer need word errors, and it had no transcript "
                f"when {self.store.path} was made; give the objective cuts: transcribed (and list it again "
                f"without them for cuts: untranscribed), or add transcripts and "
                f"{make_anew(self.store.path, self.store.remake, 'the store')}"
            )
        return Nbest(stored.hypotheses[: self.settings.num_hypotheses], stored.num_words)

    def _check_errors(self, record: CutRecord, best: Nbest) -> None:
        """Raise AsrkdError if the transcript changed since the errors of a cut's hypotheses were counted."""
        problem = stale_errors(best, record.texts, self.unit)
        if problem:
            raise AsrkdError(
                f"cut {record.id}: the {self.unit.noun} errors of its hypotheses {problem}; "
                f"{make_anew(self.store.path, self.store.remake, 'the store')}"
            )


class NbestSource(ReadSource):
    """A teacher's best hypotheses, tokenized anew for the student."""

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
                tokenized, or they lack the word errors that the settings need.
        """

        def check(record: CutRecord, found: Nbest) -> None:
            for text in found.texts:
                watch(record, encode(self.tokens, text, record.id))

        return self.lists.examine(cuts, check)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has hypotheses, made of its own audio, that can be tokenized."""
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
