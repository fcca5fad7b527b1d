"""Target source interface, which transcripts, stores and live teachers have in common.

Notation: N utterances, T teacher frames, D size of the teacher's layer.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from lhotse import MonoCut

from asrkd.data.cuts.records import CutRecord


@dataclass(frozen=True)
class Selection:
    """Cuts that a source has targets for."""

    ids: AbstractSet[str]
    lines: list[str] = field(default_factory=list)  # human-readable: cuts that were left out, and why


# Function that is called with each token sequence of each cut.
Watch = Callable[[CutRecord, Sequence[int]], None]


def ignore(_cut: CutRecord, _tokens: Sequence[int]) -> None:
    """Ignore a token sequence: the default :data:`Watch`."""


Targets = TypeVar("Targets")


class TargetSource(Protocol):
    """A source of targets: transcripts, a store or a live teacher. Objectives see no difference."""

    def fetch(self, cuts: Sequence[MonoCut]) -> Any:
        """Read the targets of a batch of cuts, in their order; may run in a loader process.

        Raises:
            AsrkdError: a cut has no fitting targets, or they cannot be read.
        """

    def finish(self, fetched: Any) -> Any:
        """Convert fetched targets to tensors on the student's device."""

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless there are fitting targets for every cut.

        Args:
            cuts: cuts that a student is trained on.
            student_shift: seconds between the student's frames; None if no student is known.
        """


class CodebookTargets(TargetSource, Protocol):
    """A source of codebook indexes, uint8 (N, T, codebooks)."""

    num_codebooks: int
    codebook_size: int  # entries
    frame_shift: float  # seconds between the teacher's frames


class HiddenTargets(TargetSource, Protocol):
    """A source of a layer's embeddings, float32 (N, T, D)."""

    dim: int  # D
    frame_shift: float  # seconds between the teacher's frames


class PosteriorSource(TargetSource, Protocol):
    """A source of token posteriors, as :class:`asrkd.targets.posteriors.PosteriorTargets`."""

    frame_shift: float  # seconds between the teacher's frames
    has_all_tokens: bool  # whether each frame has the log-probabilities of all tokens


class ReadSource:
    """A source whose targets are complete when they are read."""

    def finish(self, fetched: Targets) -> Targets:
        """Return the targets as they are."""
        return fetched


@runtime_checkable
class Selective(Protocol):
    """A target source whose settings may leave cuts without targets."""

    def examine(self, cuts: Sequence[MonoCut], watch: Watch = ignore) -> Selection:
        """Verify as ``verify`` does, and select the cuts that have targets.

        Args:
            cuts: training cuts.
            watch: function called with every token sequence of every cut.
        """


@runtime_checkable
class Changing(Protocol):
    """A source whose targets depend on the epoch."""

    def of_epoch(self, epoch: int) -> TargetSource:
        """Return the source of an epoch, counted from 0."""


@runtime_checkable
class TeacherSource(Protocol):
    """A source whose teacher can compute targets of further cuts."""

    is_live: bool  # whether it computes the targets of all cuts, and stores none

    def live(self) -> TargetSource:
        """Return a source that computes its targets: itself if it is live.

        Raises:
            AsrkdError: the teacher of a store is gone, or has changed since the store was made.
        """
