"""Standard output and error that take whatever a command prints: any locale, closed, or full.

Tables have lines and signs that a terminal or a pipe in Latin-1 (or in ASCII, LC_ALL=C) has no bytes for,
and transcripts have any character. What cannot be written stands there in plain characters, or escaped,
instead of ending a command after hours of work.
"""

import codecs
import errno
import io
import os
import sys
from typing import Any

ERRORS = "asrkd-plain"  # name of the handler below
_PLAIN = str.maketrans(
    {
        "─": "-", "━": "-", "│": "|", "═": "=", "…": "...", "–": "-", "—": "-", "±": "+-", "×": "x",
        "≥": ">=", "≤": "<=", "•": "*", "→": "->", "·": ".", "\u00a0": " ",
        "’": "'", "‘": "'", "“": '"', "”": '"',
    }
)  # fmt: skip


def plain_characters(error: UnicodeError) -> tuple[str, int]:
    """A handler of :mod:`codecs`: plain characters for signs, escapes like Python's for all else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


# Of stderr: its log lies on a disk that is full, or its terminal is gone.
_NOWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class _Lossy(io.FileIO):
    """Standard error where what cannot be kept is dropped: progress and notes are not worth hours of work."""

    def write(self, data: Any) -> int:
        """All of it, as far as the caller can tell."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in _NOWHERE:
                return memoryview(data).nbytes
            raise


def prepare_streams() -> None:
    """Make stdout and stderr of this process take every character, and be there even if closed or full."""
    codecs.register_error(ERRORS, plain_characters)
    standard = sys.__stderr__
    if standard is not None and sys.stderr is standard:
        raw = _Lossy(standard.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), encoding=standard.encoding, line_buffering=True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started this, as with >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def drop_output() -> None:
    """Give up what is still to be written to stdout, which would fail once more when the process ends."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
