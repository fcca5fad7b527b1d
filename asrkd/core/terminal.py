"""Standard output and error that accept all text of a command: in any locale, closed, or full.

Tables have box-drawing characters and signs that a terminal or a pipe in Latin-1 or ASCII (LC_ALL=C)
cannot encode, and transcripts have any character. Such characters are replaced by plain ones, or escaped,
so that they cannot end a command after hours of work.
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
    """Handle an encoding error of :mod:`codecs`: plain characters for signs, escapes for the rest."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


# Errors of writing to stderr: the disk of its log is full, or its terminal is gone.
_NOWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class _Lossy(io.FileIO):
    """Standard error that drops text which cannot be written: progress is not worth hours of work."""

    def write(self, data: Any) -> int:
        """Write all of ``data``, or drop it and report it as written."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in _NOWHERE:
                return memoryview(data).nbytes
            raise


def prepare_streams() -> None:
    """Make stdout and stderr of this process accept every character, also if they are closed or full."""
    codecs.register_error(ERRORS, plain_characters)
    standard = sys.__stderr__
    if standard is not None and sys.stderr is standard:
        raw = _Lossy(standard.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), encoding=standard.encoding, line_buffering=True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process, as with >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def drop_output() -> None:
    """Drop the unwritten text of stdout, which would raise again when the process ends."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
