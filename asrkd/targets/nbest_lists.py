"""The lists of an N-best store as settings leave them: the best few, filtered, weighed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.cut_records import CutRecord, records
from asrkd.errors import AsrkdError
from asrkd.shell import make_anew
from asrkd.targets.list_filters import ListFilter
from asrkd.targets.nbest import Nbest
from asrkd.targets.nbest_store import NbestStore
from asrkd.targets.selection import Selection
from asrkd.targets.sequence_settings import SequenceSettings, WeightSettings
from asrkd.targets.sequence_weights import WeightHistogram, list_weights
from asrkd.targets.sequences import is_transcribed
from asrkd.targets.stored_errors import stale_errors, was_counted_against


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
            cuts: all that are to be learnt from.
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
