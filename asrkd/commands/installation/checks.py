"""A check of the installation: a thing, what was found of it, and what mends it."""

from dataclasses import dataclass
from enum import Enum

# A package that is broken raises anything when it is imported or used; only the
# user's own interrupt is passed on.
BROKEN = (Exception, SystemExit)


class Status(Enum):
    """What a check found."""

    OK = "ok"
    NOTE = "note"  # works, with something less
    WRONG = "WRONG"  # needed, and does not work


@dataclass(frozen=True)
class Check:
    """One row of the report."""

    name: str
    status: Status
    found: str  # a version, or what is wrong, in a line
    note: str = ""  # what it is for, and what stands in for it
    remedy: str = ""  # the command that mends it

    def text(self) -> str:
        """A line, and below it the note and the command, where there are any."""
        indent = " " * 23
        lines = [f"{self.status.value:<6}{self.name:<17}{self.found}"]
        lines += [indent + self.note] if self.note else []
        lines += [f"{indent}mend it with: {self.remedy}"] if self.remedy else []
        return "\n".join(lines)


def in_a_line(error: object) -> str:
    """An error or a warning in a line: its kind, and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:160]}" if said else type(error).__name__
