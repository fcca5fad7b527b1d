"""Errors of libraries and of the system as an AsrkdError: one line with error, place and remedy.

safetensors, lhotse, soundfile, sentencepiece, h5py and others raise errors of their own classes, or
built-in ones (RuntimeError, AssertionError), where a file is damaged or a disk is full. Readers of asrkd
convert the errors that they expect; this module converts the rest, at every command and in every worker
process. An error that asrkd's own code raises keeps its traceback: it is a bug.

``ASRKD_TRACEBACK=1`` shows the traceback of every error but an AsrkdError.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from asrkd.core.errors import AsrkdError, reason
from asrkd.core.shell import command

TRACEBACK_VARIABLE = "ASRKD_TRACEBACK"
LIBRARIES = frozenset(
    "espeakng_loader gzip h5py jinja2 jiwer kenlm lhotse lilcom lzma pickle pydantic rapidfuzz safetensors "
    "sentencepiece soundfile submitit tarfile transformers yaml zipfile zlib".split()
)


def as_user_error(error: BaseException) -> AsrkdError | None:
    """Convert an error; return None if it is a bug, or an exception that is not an error."""
    if isinstance(error, AsrkdError):
        return error
    if os.environ.get(TRACEBACK_VARIABLE):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return _system_error(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, of a GPU
        return AsrkdError(
            f"out of memory ({reason(error)}); use fewer --jobs, or in training a lower data.max_duration "
            "with more optim.accumulate"
        )
    if isinstance(error, UnicodeEncodeError):  # a name of bytes that are not UTF-8, in Python's escapes
        context = error.object[max(error.start - 30, 0) : error.end + 30]
        return AsrkdError(
            f"{_place(error) or 'while writing'}: {context!r} is not Unicode; "
            "rename the file, as with convmv -t utf8"
        )
    library = _library(error)
    if library is None:
        return None
    place = _place(error)
    check = f"check it with: {command('asrkd', 'check', place)}; " if place is not None else ""
    where = f"{place}: " if place is not None else ""
    return AsrkdError(
        f"{where}{library} failed: {reason(error)}; {check}"
        f"{TRACEBACK_VARIABLE}=1 before the command shows the traceback"
    )


@contextmanager
def user_errors() -> Iterator[None]:
    """Convert errors of libraries and the system within the block; let bugs pass."""
    try:
        yield
    except Exception as error:
        converted = as_user_error(error)
        if converted is None or converted is error:
            raise
        raise converted from None


def _system_error(error: OSError) -> AsrkdError:
    """Convert an error of the system: a full or protected disk, a name that is too long, a closed pipe."""
    names = [str(name) for name in (error.filename, error.filename2) if name]
    return AsrkdError(
        f"{' and '.join(names) or 'while writing'}: {error.strerror}; fix that and run the command again"
    )


def _library(error: BaseException) -> str | None:
    """Return the library that raised an error: by its class, or by the innermost frame outside Python."""
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
    """Return the file that asrkd was reading or writing: the innermost of its variables that is a path."""
    for frame in reversed(_frames(error)):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] != "asrkd":
            continue
        paths = [value for value in frame.f_locals.values() if isinstance(value, Path)]
        if paths:
            return paths[0]
    return None


def _frames(error: BaseException) -> list[FrameType]:
    """Return the frames of a traceback, outermost first."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
