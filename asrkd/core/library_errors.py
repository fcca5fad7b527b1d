"""Errors of libraries and of the system as a user's: one line with what, where and the way on.

safetensors, lhotse, soundfile, sentencepiece, h5py and others raise errors of their own classes, or bare
ones (RuntimeError, AssertionError), where a file is damaged or a disk is full. Readers of asrkd turn those
that they expect into an AsrkdError; this is for the rest, at every command and in every worker process.
What is raised by asrkd's own code stays a traceback: it is a bug.

``ASRKD_TRACEBACK=1`` shows the traceback of all but an AsrkdError.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command

TRACEBACK_VARIABLE = "ASRKD_TRACEBACK"
LIBRARIES = frozenset(
    "espeakng_loader gzip h5py jinja2 jiwer kenlm lhotse lilcom lzma pickle pydantic rapidfuzz safetensors "
    "sentencepiece soundfile submitit tarfile transformers yaml zipfile zlib".split()
)
MOST_LETTERS = 300  # of a library's own words


def as_user_error(error: BaseException) -> AsrkdError | None:
    """The error as a user's; None if it is none, but a bug, or nothing that ends a command by mistake."""
    if isinstance(error, AsrkdError):
        return error
    if os.environ.get(TRACEBACK_VARIABLE):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return _system_error(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, of a GPU
        return AsrkdError(
            f"out of memory ({_words(error)}); fewer --jobs need less, in training a lower data.max_duration "
            "with more optim.accumulate"
        )
    if isinstance(error, UnicodeEncodeError):  # a name of bytes that are no UTF-8, as Python keeps it
        around = error.object[max(error.start - 30, 0) : error.end + 30]
        return AsrkdError(
            f"{_place(error) or 'while writing'}: {around!r} is not Unicode; "
            "rename what is called so, as with convmv -t utf8"
        )
    library = _library(error)
    if library is None:
        return None
    place = _place(error)
    look = f"look it over with: {command('asrkd', 'check', place)}; " if place is not None else ""
    where = f"{place}: " if place is not None else ""
    return AsrkdError(
        f"{where}{library} cannot go on: {_words(error)}; {look}"
        f"{TRACEBACK_VARIABLE}=1 before the command shows where in the code"
    )


@contextmanager
def user_errors() -> Iterator[None]:
    """Make an AsrkdError of what a library or the system raises within the block; bugs stay what they are."""
    try:
        yield
    except Exception as error:
        known = as_user_error(error)
        if known is None or known is error:
            raise
        raise known from None


def _system_error(error: OSError) -> AsrkdError:
    """A disk that is full or protected, a name that is too long, a pipe that was closed."""
    names = [str(name) for name in (error.filename, error.filename2) if name]
    return AsrkdError(
        f"{' and '.join(names) or 'while writing'}: {error.strerror}; mend that and run it again"
    )


def _library(error: BaseException) -> str | None:
    """The library that raised it: by its class, or by the innermost code that is not Python's own."""
    by_class = type(error).__module__.lstrip("_").partition(".")[0]
    if by_class in LIBRARIES:
        return by_class
    for frame in reversed(_frames(error)):
        root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if root in LIBRARIES:
            return root
        if root in ("asrkd", "__main__"):
            return None
    return None


def _place(error: BaseException) -> Path | None:
    """The file that asrkd was dealing with: the innermost of its variables that is a path."""
    for frame in reversed(_frames(error)):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] != "asrkd":
            continue
        paths = [value for value in frame.f_locals.values() if isinstance(value, Path)]
        if paths:
            return paths[0]
    return None


def _frames(error: BaseException) -> list[FrameType]:
    """Outermost first."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _words(error: Any) -> str:
    """What it says, in a line; of several lines the last, where libraries put the cause."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    words = lines[0] if len(lines) == 1 else " ... ".join([*lines[:1], *lines[-1:]])
    return f"{type(error).__name__}: {words[:MOST_LETTERS]}" if lines else type(error).__name__
