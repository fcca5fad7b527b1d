"""Check of the installation: a row of the report, with the command that fixes it."""

from dataclasses import dataclass
from enum import Enum

# A broken package may raise anything when it is imported or used; only the user's interrupt is re-raised.
BROKEN = (Exception, SystemExit)


class Status(Enum):
    """Result of a check."""

    OK = "ok"
    NOTE = "note"  # works, with less
    WRONG = "WRONG"  # required, and does not work


@dataclass(frozen=True)
class Check:
    """Row of the report."""

    name: str
    status: Status
    detail: str  # a version, or the fault, in a line
    note: str = ""  # use of the package, and its substitute
    remedy: str = ""  # the command that fixes it

    def text(self) -> str:
        """Format the row, and below it the note and the remedy, if any."""
        indent = " " * 23
        lines = [f"{self.status.value:<6}{self.name:<17}{self.detail}"]
        lines += [indent + self.note] if self.note else []
        lines += [f"{indent}fix it with: {self.remedy}"] if self.remedy else []
        return "\n".join(lines)


def in_a_line(error: object) -> str:
    """Format an error or a warning as a line: its type, and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
