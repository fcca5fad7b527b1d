"""Stored hypotheses of a teacher as targets, weighted and filtered when they are read.

Seq-KD expands the data: the k hypotheses of an utterance are k examples, and
an epoch is k times as long. Here a visit of a cut takes all k by default, each
with weight 1/k, which is the expectation of k such updates at the cost of one
encoding. With ``expand`` a visit takes one hypothesis, and an epoch has k
passes over the cuts, so that each hypothesis is taken once. Departures: every
pass has each cut once (the paper shuffles all k N pairs together), and lists
shorter than k repeat. A phase's length in ``epochs`` counts k times the
updates of the first plan; other plans may have a batch or two more or less, so
a few cuts may have a visit too few or too many.
"""

import copy
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import make_again
from asrkd.data.cuts.records import CutRecord, is_transcribed, records
from asrkd.data.tokens import Tokens
from asrkd.targets.nbest import Nbest
from asrkd.targets.sequences import SequenceTargets, collate, encode
from asrkd.targets.sources.base import ReadSource, Selection, Watch, ignore
from asrkd.targets.sources.nbest_filters import ListFilter
from asrkd.targets.sources.nbest_weights import WeightHistogram, list_weights
from asrkd.targets.sources.nbest_word_errors import stale_errors, was_counted_against
from asrkd.targets.sources.settings import TRANSCRIPT, SequenceSettings, WeightSettings
from asrkd.targets.sources.text import TranscriptSource
from asrkd.targets.store.nbest import NbestStore


class NbestLists:
    """N-best lists of a store, selected, filtered and weighted by settings."""

    def __init__(self, path: Path, settings: SequenceSettings) -> None:
        """Open the store at ``path``.

        Raises:
            AsrkdError: the store cannot be read, or lacks data that the settings need.
        """
        self.store, self.settings = NbestStore(path), settings
        self.unit = self.store.unit
        stored = self.store.contract.get("search", {}).get("num_best")
        if "num_hypotheses" in settings.model_fields_set and stored and settings.num_hypotheses > stored:
            raise AsrkdError(
                f"{path}: num_hypotheses={settings.num_hypotheses}, but the store has at most {stored} per "
                f"cut; lower it, or make a store with --nbest {settings.num_hypotheses}; this one was made "
                f"with: {self.store.remake}"
            )
        for name in ("min_confidence", "tokens_per_second"):
            if getattr(settings.filter, name) is not None:
                self.store.require_tokens(f"filter.{name}")

    def rules(self) -> ListFilter:
        """Return the filters, with empty statistics."""
        return ListFilter(self.settings.filter, self.unit)

    def of_cut(self, cut: MonoCut, rules: ListFilter) -> Nbest:
        """Read the hypotheses of a cut that the settings select, maybe none."""
        if not self._uses([supervision.text for supervision in cut.supervisions]):
            return Nbest((), None)
        return rules(cut.id, self._best(cut.id), cut.duration)

    def weights(self, nbest: Nbest) -> list[float]:
        """Compute the weight of each hypothesis in a list."""
        return list_weights(nbest.log_probs, nbest.wers, self.settings.weights)

    def examine(self, cuts: Sequence[MonoCut], check: Callable[[CutRecord, Nbest], None]) -> Selection:
        """Select the cuts that have hypotheses left, with statistics of filters and weights.

        Args:
            cuts: training cuts.
            check: function called with each cut and its filtered list.

        Raises:
            AsrkdError: a cut has no hypotheses, or they are of other audio, lack
                word errors that the settings need, or have errors that were
                counted against another transcript.
        """
        rows = [row for row, record in enumerate(records(cuts)) if self._uses(record.texts)]
        self.store.verify(cuts if len(rows) == len(cuts) else [cuts[row] for row in rows])
        rules, histogram, ids = self.rules(), WeightHistogram(), set()
        used = [records(cuts)[row] for row in rows]
        recount = self.settings.needs_errors and not was_counted_against(self.store.contract, used)
        for record in used:
            best = self._best(record.id)
            if recount:
                self._check_errors(record, best)
            filtered = rules(record.id, best, record.duration)
            check(record, filtered)
            if filtered.hypotheses:
                ids.add(record.id)
                histogram.add(self.weights(filtered))
        lines = rules.lines() + ([] if self.settings.weights == WeightSettings() else [histogram.text()])
        return Selection(ids, [f"{self.store.path}: {line}" for line in lines])

    def _uses(self, texts: Sequence[str | None]) -> bool:
        """Whether the settings use a cut with these texts of supervisions."""
        return self.settings.cuts == "all" or (self.settings.cuts == "transcribed") == is_transcribed(texts)

    def _best(self, cut_id: str) -> Nbest:
        """Read the best ``num_hypotheses`` of a cut; AsrkdError if they lack errors that are needed."""
        stored = self.store.read(cut_id)
        if self.settings.needs_errors and stored.num_words is None:
            raise AsrkdError(
                f"cut {cut_id}: weights.beta and filter.max_wer need word errors, but it had no transcript "
                f"when {self.store.path} was made; set cuts: transcribed for the objective (and add one "
                f"without them for cuts: untranscribed), or add transcripts and "
                f"{make_again(self.store.path, self.store.remake, 'the store')}"
            )
        return Nbest(stored.hypotheses[: self.settings.num_hypotheses], stored.num_words)

    def _check_errors(self, record: CutRecord, best: Nbest) -> None:
        """Raise AsrkdError if the transcript changed since the errors of a cut's hypotheses were counted."""
        problem = stale_errors(best, record.texts, self.unit)
        if problem:
            raise AsrkdError(
                f"cut {record.id}: the {self.unit.noun} errors of its hypotheses {problem}; "
                f"{make_again(self.store.path, self.store.remake, 'the store')}"
            )


class NbestSource(ReadSource):
    """Best hypotheses of a teacher as targets, in the student's tokens."""

    def __init__(self, path: Path, tokens: Tokens, settings: SequenceSettings) -> None:
        """Open the store at ``path``.

        Raises:
            AsrkdError: the store cannot be read, or lacks data that the settings need.
        """
        self.lists, self.tokens, self.settings = NbestLists(path, settings), tokens, settings
        self.epoch: int | None = None

    def of_epoch(self, epoch: int) -> "NbestSource":
        """Return the source of an epoch, counted from 0; without ``expand`` the source itself."""
        if not self.settings.expand:
            return self
        source = copy.copy(self)
        source.epoch = epoch
        return source

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """Read and tokenize the hypotheses of each cut that the settings select, with weights and log P."""
        rules = self.lists.rules()
        sequences, weights, log_probs = [], [], []
        for cut in cuts:
            visit = self._of_visit(cut.id, self.lists.of_cut(cut, rules))
            sequences.append([encode(self.tokens, text, cut.id) for text, _, _ in visit])
            weights.append([weight for _, weight, _ in visit])
            log_probs.append([log_prob for _, _, log_prob in visit])
        return collate(sequences, weights, log_probs)

    def examine(self, cuts: Sequence[MonoCut], watch: Watch = ignore) -> Selection:
        """Select the cuts that have hypotheses left, with statistics of filters and weights.

        Raises:
            AsrkdError: a cut has no hypotheses, or they are of other audio, cannot be tokenized,
                or lack word errors that the settings need.
        """

        def check(record: CutRecord, nbest: Nbest) -> None:
            for text in nbest.texts:
                watch(record, encode(self.tokens, text, record.id))

        return self.lists.examine(cuts, check)

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless each cut has hypotheses of the same audio that can be tokenized."""
        self.examine(cuts)

    def _of_visit(self, cut_id: str, nbest: Nbest) -> list[tuple[str, float, float]]:
        """Return text, weight and the teacher's log-probability of each hypothesis of a visit of a cut."""
        if not nbest.hypotheses:
            return []
        visit = list(zip(nbest.texts, self.lists.weights(nbest), nbest.log_probs, strict=True))
        if self.epoch is None or not self.settings.expand:
            return visit
        # Cuts start at different ranks, or one pass would have all best hypotheses, the next all second ones.
        text, weight, log_prob = visit[(self.epoch + zlib.crc32(cut_id.encode())) % len(visit)]
        return [(text, weight * len(visit), log_prob)]


def sequence_source(settings: SequenceSettings, tokens: Tokens) -> TranscriptSource | NbestSource:
    """Open the source that an objective's settings describe; ``tokens`` are the student's."""
    if settings.targets == TRANSCRIPT:
        return TranscriptSource(tokens, optional=settings.cuts == "transcribed")
    return NbestSource(Path(settings.targets), tokens, settings)
