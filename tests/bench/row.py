"""A line of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Two figures of one kind, taken in the same run."""

    what: str  # with the unit
    ours: float
    theirs: float  # of what stands beside it
    wanted: str  # of the ratio

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs
