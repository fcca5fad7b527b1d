"""What can go wrong that the user can mend, and the exit status each kind has.

A message is one line: what, where (file, line, cut id), what was expected,
and the command that mends it. Anything else that is raised is a bug.
"""

import sys
import unicodedata

# Control characters, lone surrogates (bytes of a path that are not UTF-8), line and paragraph separators.
_ESCAPED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """Escape, as Python does, what would end a line, move a terminal's cursor or reorder its characters."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _ESCAPED_CATEGORIES or char in _BIDI_CONTROLS
        else char
        for char in text
    )


def warn(message: str) -> None:
    """Print a message as one line on stderr; the command goes on."""
    print(f"asrkd: {one_line(message)}", file=sys.stderr)


class AsrkdError(Exception):
    """A mistake the user can mend: printed as one line, exit status 1."""

    exit_status = 1
    told = False  # another process has printed it, so this one ends in silence

    def __str__(self) -> str:
        """The message, in one line whatever the paths and ids in it hold."""
        return one_line(super().__str__())


class QuarantineError(AsrkdError):
    """More items were set aside as bad than the user allowed: exit status 3."""

    exit_status = 3


class StoppedInTime(AsrkdError):
    """Work was saved on request before it was done; run again to go on: exit status 75.

    75 is EX_TEMPFAIL of sysexits.h, which schedulers can requeue on.
    """

    exit_status = 75
