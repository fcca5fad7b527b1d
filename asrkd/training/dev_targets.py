"""Targets of dev cuts: those of the student's own stores, or a teacher's that is asked about some of them.

A store covers the dev cuts if they were among those that its teacher was
asked about. Where it does not, and its teacher and quantizer are where they
were, they are asked about a few dev cuts, once; so is a live teacher, for
whom all dev cuts at each validation would cost more than the training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lhotse import MonoCut

from asrkd.core.errors import AsrkdError, warn
from asrkd.data.cuts.records import records
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.codebook import CodebookSource, LiveCodebookSource
from asrkd.targets.sources.dense import HiddenSource, LiveHiddenSource
from asrkd.targets.sources.live_of_store import ask_again
from asrkd.training.learner import LossTerm

MOST_ASKED = 40  # dev cuts, evenly spaced, about which a teacher is asked


@dataclass(frozen=True)
class DevTargets:
    """A term of the loss, and where its targets of dev cuts come from."""

    term: LossTerm
    source: TargetSource
    cuts: Sequence[MonoCut] | None  # that it has targets of; None: all


def dev_targets(
    terms: Sequence[LossTerm], sources: Mapping[str, TargetSource], cuts: Sequence[MonoCut]
) -> Iterator[DevTargets]:
    """Those ``terms`` that can be measured on the dev ``cuts``, or on some; a line on stderr for others."""
    few = [cuts[row] for row in range(0, len(cuts), max(1, -(-len(cuts) // MOST_ASKED)))]
    for term in terms:
        source = sources[term.label]
        if not isinstance(source, LiveCodebookSource | LiveHiddenSource):
            try:
                source.verify(cuts)
            except AsrkdError:  # targets were stored for the training cuts alone
                pass
            else:
                yield DevTargets(term, source, None)
                continue
        try:
            asked = _asked(source)
            if asked is not None:
                asked.verify(few)
                yield DevTargets(term, _Remembered(asked), few)
        except AsrkdError as error:
            warn(f"no loss of {term.label} on dev cuts: {error}")


def _asked(source: TargetSource) -> TargetSource | None:
    """What asks the teacher of a store, or a live teacher; None for stores of other kinds."""
    if isinstance(source, CodebookSource):
        return ask_again(source)
    if isinstance(source, HiddenSource):
        return ask_again(source)
    return source if isinstance(source, LiveCodebookSource | LiveHiddenSource) else None


class _Remembered:
    """A source that asks about each batch of cuts once."""

    def __init__(self, source: TargetSource) -> None:
        self._source = source
        self._known: dict[tuple[str, ...], Any] = {}

    def fetch(self, cuts: Sequence[MonoCut]) -> Any:
        """The question."""
        return self._source.fetch(cuts)

    def finish(self, fetched: Any) -> Any:
        """The answer, which is kept."""
        key = tuple(record.id for record in records(fetched.cuts))
        if key not in self._known:
            self._known[key] = self._source.finish(fetched)
        return self._known[key]

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless there are fitting targets for every cut."""
        self._source.verify(cuts)
