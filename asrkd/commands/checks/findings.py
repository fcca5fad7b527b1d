"""Findings of a check: notes on the checks that were made, and problems with the commands that fix them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.core.errors import AsrkdError, one_line, reason

SHOWN = 5  # problems of a kind; the rest is counted


@dataclass
class Findings:
    """Notes and problems, collected while an artifact is checked."""

    notes: list[str] = field(default_factory=list)  # human-readable, a line each
    problems: list[str] = field(default_factory=list)  # a line each
    _counts: dict[str, int] = field(default_factory=dict)  # problems, by kind

    def note(self, text: str) -> None:
        """Add a note."""
        self.notes.append(one_line(text))

    def problem(self, text: str, *, kind: str = "") -> None:
        """Add a problem; of one ``kind`` the first few are listed and the rest is counted."""
        if kind:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if self._counts[kind] > SHOWN:
                return
        self.problems.append(one_line(text))

    @contextmanager
    def collect(self, path: Path) -> Iterator[None]:
        """Add an AsrkdError that ends the block as a problem of ``path``.

        A field that a record of the artifact at ``path`` lacks is a problem too.
        """
        try:
            yield
        except AsrkdError as error:
            text = str(error)
            self.problem(text if one_line(str(path)) in text else f"{path}: {text}")
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            # JSON of another form.
            self.problem(f"{path}: a record in it does not have the form that asrkd writes ({reason(error)})")

    def lines(self) -> list[str]:
        """Return the listed problems, and a line with the count of the others of each kind."""
        rest = [
            f"... and {count - SHOWN} more cuts: {kind}"
            for kind, count in self._counts.items()
            if count > SHOWN
        ]
        return self.problems + rest
