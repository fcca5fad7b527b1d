"""Which cuts a target source has targets for, where it may leave some out."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from lhotse import MonoCut


@dataclass(frozen=True)
class Selection:
    """What a source said of some cuts."""

    ids: AbstractSet[str]  # of those that it has targets for
    lines: list[str] = field(default_factory=list)  # for a person: what it left out and why


@runtime_checkable
class Selective(Protocol):
    """A target source that has nothing for some cuts, by its settings and not by mistake."""

    def examine(self, cuts: Sequence[MonoCut]) -> Selection:
        """Verify as ``verify`` does, and say which cuts there are targets for."""
