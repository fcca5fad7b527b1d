"""What an audit found: what was looked at, what is wrong, and the command that mends it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.core.errors import AsrkdError, one_line, reason

SHOWN = 5  # problems of a kind; the rest is counted


@dataclass
class Findings:
    """Grows while an artifact is looked over."""

    looked_at: list[str] = field(default_factory=list)  # in words, for a person
    problems: list[str] = field(default_factory=list)  # a line each
    _more: dict[str, int] = field(default_factory=dict)

    def saw(self, what: str) -> None:
        """Note what was looked at."""
        self.looked_at.append(one_line(what))

    def wrong(self, problem: str, *, kind: str = "") -> None:
        """Note a problem; of one ``kind`` the first few are told in full and the rest counted."""
        if kind:
            self._more[kind] = self._more.get(kind, 0) + 1
            if self._more[kind] > SHOWN:
                return
        self.problems.append(one_line(problem))

    @contextmanager
    def looking(self, where: Path) -> Iterator[None]:
        """Within the block an AsrkdError is a problem of ``where`` that was found, and ends the block.

        So is a field that a record of the artifact ``where`` lacks.
        """
        try:
            yield
        except AsrkdError as error:
            said = str(error)
            self.wrong(said if one_line(str(where)) in said else f"{where}: {said}")
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            # A record that is JSON, but another's.
            self.wrong(f"{where}: a record in it is not of the form that this stage writes ({reason(error)})")

    def lines(self) -> list[str]:
        """The problems, with a count of those that are not told."""
        more = [
            f"... and {count - SHOWN} more cuts: {kind}"
            for kind, count in self._more.items()
            if count > SHOWN
        ]
        return self.problems + more
