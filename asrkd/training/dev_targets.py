"""Targets of dev cuts: from the student's stores, or computed by their teachers for some of the cuts.

A store covers the dev cuts if its teacher decoded them too. Where it does
not, and its teacher and quantizer are unchanged, they compute the targets of
a few dev cuts, once. So does a live teacher: all dev cuts at each validation
would cost more than the training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lhotse import MonoCut

from asrkd.core.errors import AsrkdError, warn
from asrkd.core.randomness import evenly_spaced
from asrkd.data.cuts.records import records
from asrkd.targets.sources.base import TargetSource, TeacherSource
from asrkd.training.learner import LossTerm

MAX_COMPUTED = 40  # dev cuts, evenly spaced, whose targets a teacher computes


@dataclass(frozen=True)
class DevTargets:
    """A term of the loss, with the source of its targets of dev cuts."""

    term: LossTerm
    source: TargetSource
    cuts: Sequence[MonoCut] | None  # cuts that have targets; None: all


def dev_targets(
    terms: Sequence[LossTerm], sources: Mapping[str, TargetSource], cuts: Sequence[MonoCut]
) -> Iterator[DevTargets]:
    """Yield the ``terms`` that can be measured on all or some dev ``cuts``; warn about the others."""
    some = evenly_spaced(cuts, MAX_COMPUTED)
    for term in terms:
        source = sources[term.label]
        teacher = source if isinstance(source, TeacherSource) else None
        if (teacher is None or not teacher.is_live) and _covers(source, cuts):
            yield DevTargets(term, source, None)
        elif teacher is not None:
            try:
                live = teacher.live()
                live.verify(some)
                yield DevTargets(term, _CachedTargets(live), some)
            except AsrkdError as error:
                warn(f"no loss of {term.label} on dev cuts: {error}")


def _covers(source: TargetSource, cuts: Sequence[MonoCut]) -> bool:
    """Whether a source has targets for all ``cuts``; many stores are of the training cuts alone."""
    try:
        source.verify(cuts)
    except AsrkdError:
        return False
    return True


class _CachedTargets:
    """A live source that computes the targets of each batch of cuts once."""

    def __init__(self, source: TargetSource) -> None:
        self._source = source
        self._targets: dict[tuple[str, ...], Any] = {}  # by the ids of the cuts

    def fetch(self, cuts: Sequence[MonoCut]) -> Any:
        """Return the cuts; :meth:`finish` computes their targets."""
        return self._source.fetch(cuts)

    def finish(self, fetched: Any) -> Any:
        """Compute the targets of a batch, or return those computed before."""
        key = tuple(record.id for record in records(fetched.cuts))
        if key not in self._targets:
            self._targets[key] = self._source.finish(fetched)
        return self._targets[key]

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless there are fitting targets for every cut."""
        self._source.verify(cuts, student_shift)
