"""Which cuts a target source has targets for, where it may leave some out."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from lhotse import MonoCut

from asrkd.cut_records import CutRecord


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
            cuts: to be learnt from.
            watch: is given every token sequence of every cut.
        """
