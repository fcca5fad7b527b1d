"""Errors that the user can fix, the exit status of each kind, and error text in one line.

A message is one line: the error, its place (file, line, cut id), the expected
value, and the command that fixes it. Any other exception is a bug.
"""

import difflib
import sys
import unicodedata
from collections.abc import Iterable

# Characters of a message; a longer one loses its middle, as the remedy is at its end.
MAX_MESSAGE, KEPT_END = 10_000, 5_000
MAX_ERROR_TEXT = 300  # characters of the text of a library's error
# Control characters, lone surrogates (bytes of a path that are not UTF-8), line and paragraph separators.
_ESCAPED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """Escape, as Python does, characters that end a line, move a terminal's cursor or reorder the text.

    A text that is too long loses its middle.
    """
    if not text.isprintable():
        text = "".join(map(_escaped, text))
    if len(text) <= MAX_MESSAGE:
        return text
    return f"{text[: MAX_MESSAGE - KEPT_END]} [...] {text[-KEPT_END:]}"


def error_text(error: BaseException, limit: int = MAX_ERROR_TEXT) -> str:
    """Return the text of an exception of Python or a library, with single spaces for all whitespace.

    A text of more than ``limit`` characters loses its middle: some libraries put the cause last.
    """
    text = " ".join(str(error).split("[extra info]")[0].split())  # after it, lhotse adds its arguments
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-(limit // 2) :]}"


def reason(error: BaseException) -> str:
    """Return the class and the text of an exception; a ValueError's text alone, which explains itself."""
    text = error_text(error)
    if type(error) is ValueError:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "; did you mean 'x'?", the end of a message, with the nearest known name; '' if none is near.

    Args:
        name: the unknown name.
        known: names that are known.
        cutoff: lowest similarity, 0 (any name is near) to 1 (equal names alone).
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in s: '1 cut', '2 cuts'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def warn(message: str) -> None:
    """Print a message as one line on stderr; the command goes on."""
    print(f"asrkd: {one_line(message)}", file=sys.stderr)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _BIDI_CONTROLS:
        return character.encode("unicode_escape").decode("ascii")
    return character


class AsrkdError(Exception):
    """Error that the user can fix: printed as one line, exit status 1."""

    exit_status = 1
    reported = False  # printed by another process; this one exits silently

    def __str__(self) -> str:
        """The message in one line, with paths and ids escaped."""
        return one_line(super().__str__())


class QuarantineError(AsrkdError):
    """More bad items than the user allows: exit status 3."""

    exit_status = 3


class DivergedError(AsrkdError):
    """End of a training whose gradients are not finite: its settings are at fault, not its inputs."""


class StoppedInTime(AsrkdError):
    """Work saved at a requested stop, unfinished; run again to resume: exit status 75.

    75 is EX_TEMPFAIL of sysexits.h, which schedulers can requeue on.
    """

    exit_status = 75
