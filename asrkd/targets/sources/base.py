"""What a target source is: the seam behind which transcripts, stores and live teachers look alike."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from lhotse import MonoCut

from asrkd.data.cuts.records import CutRecord


@dataclass(frozen=True)
class Selection:
    """What a source said of some cuts."""

    ids: AbstractSet[str]  # of those that it has targets for
    lines: list[str] = field(default_factory=list)  # for a person: what it left out and why


# Is given each token sequence of each cut.
Watch = Callable[[CutRecord, Sequence[int]], None]


def ignore(_cut: CutRecord, _tokens: Sequence[int]) -> None:
    """Watch nothing."""


@runtime_checkable
class Selective(Protocol):
    """A target source that has nothing for some cuts, by its settings and not by mistake."""

    def examine(self, cuts: Sequence[MonoCut], watch: Watch = ignore) -> Selection:
        """Verify as ``verify`` does, and say which cuts there are targets for.

        Args:
            cuts: to be learned from.
            watch: is given every token sequence of every cut.
        """


Targets = TypeVar("Targets")


class TargetSource(Protocol):
    """Where targets come from: a transcript, a store, a live teacher. Objectives cannot tell."""

    def fetch(self, cuts: Sequence[MonoCut]) -> Any:
        """What is read of a batch of cuts, in their order, in whatever process the loader works.

        Raises:
            AsrkdError: there is nothing fitting for a cut, or it cannot be read.
        """

    def finish(self, fetched: Any) -> Any:
        """The targets as tensors, of what was fetched, when it is where the student is trained."""

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless there are fitting targets for every cut."""


class ReadSource:
    """A source whose targets are complete when they are read."""

    def finish(self, fetched: Targets) -> Targets:
        """They are."""
        return fetched


@runtime_checkable
class Changing(Protocol):
    """A source that gives other targets in another epoch."""

    def of_epoch(self, epoch: int) -> TargetSource:
        """The source as it is in an epoch, counted from 0."""
