"""What can go wrong that the user can mend, and the exit status each kind has.

A message is one line: what, where (file, line, cut id), what was expected,
and the command that mends it. Anything else that is raised is a bug.
"""

import sys
import unicodedata

# Characters of a message; of a longer one the beginning and the remedy at its end are kept.
LONGEST_MESSAGE, KEPT_END = 10_000, 5_000
LONGEST_REASON = 300  # characters of what a library says
# Control characters, lone surrogates (bytes of a path that are not UTF-8), line and paragraph separators.
_ESCAPED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """Escape, as Python does, what would end a line, move a terminal's cursor or reorder its characters.

    What is endless loses its middle.
    """
    if not text.isprintable():
        text = "".join(map(_escaped, text))
    if len(text) <= LONGEST_MESSAGE:
        return text
    return f"{text[: LONGEST_MESSAGE - KEPT_END]} [...] {text[-KEPT_END:]}"


def reason(error: BaseException) -> str:
    """What an exception of Python or a library says, in a short line.

    A ValueError's own words are enough; of others the kind is named too, as the words may be a lone name.
    """
    words = " ".join(str(error).split("[extra info]")[0].split())  # lhotse adds its arguments
    if type(error) is not ValueError:
        words = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return words if len(words) <= LONGEST_REASON else f"{words[: LONGEST_REASON - 3]}..."


def warn(message: str) -> None:
    """Print a message as one line on stderr; the command goes on."""
    print(f"asrkd: {one_line(message)}", file=sys.stderr)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _BIDI_CONTROLS:
        return character.encode("unicode_escape").decode("ascii")
    return character


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
