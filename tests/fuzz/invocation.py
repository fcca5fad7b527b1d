"""A command of asrkd run in this process through its console entry: status, output, and what it raised."""

import io
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from asrkd.cli import main
from asrkd.models import directory
from asrkd.teachers import loading

LIMIT_S = 20.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    argv: Sequence[str]
    status: int | None  # None: it raised, or took too long
    stdout: str
    stderr: str
    error: BaseException | None = None  # what it raised

    @property
    def is_refusal(self) -> bool:
        """Whether it ended in an error that asrkd or the option parser printed."""
        return self.status not in (0, None)


class Hang(BaseException):
    """Raised in a command that takes too long; no ``except Exception`` stops it."""


def invoke(argv: Sequence[str], limit_s: float = LIMIT_S) -> Outcome:
    """Run ``asrkd ARGV`` in the working directory.

    Args:
        argv: what follows the command's name.
        limit_s: seconds until :class:`Hang` is raised in it.
    """
    _forget()
    status: int | None = None
    error: BaseException | None = None
    before = sys.argv
    sys.argv = ["asrkd", *argv]
    with _captured() as printed, warnings.catch_warnings():
        try:
            with _alarm(limit_s):
                main.run()
            status = 0
        except SystemExit as end:
            status = _status(end)
        except BaseException as raised:  # noqa: B036  whatever it is, it is what is looked for
            error = raised
            if isinstance(raised, KeyboardInterrupt):
                raise
        finally:
            sys.argv = before
    return Outcome(tuple(argv), status, printed.stdout, printed.stderr, error)


def _status(end: SystemExit) -> int:
    return end.code if isinstance(end.code, int) else 0 if end.code is None else 1


def _forget() -> None:
    """Empty the caches that go by path and time: the next input has the paths of the last one."""
    for cached in (directory._load, loading._load):
        clear = getattr(cached, "cache_clear", None)
        if clear is not None:
            clear()


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"took more than {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Printed:
    stdout = ""
    stderr = ""


@contextmanager
def _captured() -> Iterator[_Printed]:
    """Both outputs of the block, also what libraries in C write to their descriptors.

    The streams are as strict as those of a terminal with UTF-8.
    """
    printed = _Printed()
    sys.stdout.flush()
    sys.stderr.flush()
    kept = sys.stdout, sys.stderr, os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", line_buffering=True)
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", line_buffering=True
        )
        try:
            yield printed
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = kept[:2]
            for descriptor, place in ((kept[2], 1), (kept[3], 2)):
                os.dup2(descriptor, place)
                os.close(descriptor)
            printed.stdout, printed.stderr = _read(out.fileno()), _read(err.fileno())


def _read(descriptor: int) -> str:
    """All that was written, without moving a place that others share."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, min(size, 1 << 20), 0).decode("utf-8", "backslashreplace")
