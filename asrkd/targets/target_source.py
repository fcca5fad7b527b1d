"""What a target source is: the seam behind which transcripts, stores and live teachers look alike."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from lhotse import MonoCut

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
