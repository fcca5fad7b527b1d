"""Fault injection: an environment variable makes a named point fail, to prove that no work is lost.

``ASRKD_FAULT=ACTION@POINT[:N]`` strikes when a process reaches POINT for the
Nth time (by default the first), once in each process (``slow`` from then on).
With ``ASRKD_FAULT_LOG=FILE``, a line for each strike is appended there first.

======== ===================================================================
point    where
======== ===================================================================
open     a file is about to be written, under a temporary name
publish  the file is written, and about to be synced and renamed
named    the file has its name
decode   the audio of a cut is about to be decoded
answer   a teacher, or a scored recognizer, has processed a cut
step     an update of a training is done
======== ===================================================================

======== ===================================================================
action   what happens
======== ===================================================================
kill     the process gets SIGKILL
tear     the file loses its second half, then the process gets SIGKILL, as
         an unsynced file after a power cut (at publish)
nospace  the disk is full (ENOSPC)
readonly the file system is read-only (EROFS)
io       the disk fails (EIO)
audio    decoding fails, as for a broken file (at decode)
slow     the process sleeps for a second, at the Nth passing and at every
         later one, and logs each: slow@answer makes a teacher that takes a
         second per cut
======== ===================================================================
"""

import errno
import os
import re
import signal
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from asrkd.core.errors import AsrkdError

VARIABLE, LOG_VARIABLE = "ASRKD_FAULT", "ASRKD_FAULT_LOG"
POINTS = ("open", "publish", "named", "decode", "answer", "step")
_ERRORS = {"nospace": errno.ENOSPC, "readonly": errno.EROFS, "io": errno.EIO}
ACTIONS = ("kill", "tear", *_ERRORS, "audio", "slow")
SLOW_S = 1.0

_passed: Counter[str] = Counter()


class Fault(NamedTuple):
    """Fault to inject: an action, at a point, at one passing of it."""

    action: str
    point: str
    passing: int  # counted from 1, in each process


class BrokenAudio(OSError):
    """Error of the action ``audio``, in place of the decoder's error."""


@lru_cache(maxsize=8)
def parse(text: str) -> Fault:
    """Parse the value of ``ASRKD_FAULT``.

    Raises:
        AsrkdError: not ACTION@POINT or ACTION@POINT:N.
    """
    match = re.fullmatch(r"(\w+)@(\w+)(?::(\d+))?", text)
    if not match or match[1] not in ACTIONS or match[2] not in POINTS:
        raise AsrkdError(
            f"{VARIABLE}={text}: expected ACTION@POINT[:N], an action of {', '.join(ACTIONS)} "
            f"at a point of {', '.join(POINTS)}; unset it: unset {VARIABLE}"
        )
    return Fault(match[1], match[2], int(match[3] or 1))


def strike(point: str, path: Path | None = None) -> None:
    """Pass a point, and inject the fault that the environment sets for this passing.

    Args:
        point: name of the point, one of ``POINTS``.
        path: file that is read or written, if any.

    Raises:
        OSError: the injected fault.
        AsrkdError: the value of the environment variable is invalid.
    """
    if VARIABLE not in os.environ:
        return
    fault = parse(os.environ[VARIABLE])
    if fault.point != point:
        return
    _passed[point] += 1
    lasts = fault.action == "slow" and _passed[point] > fault.passing
    if lasts or _passed[point] == fault.passing:
        _note(fault, path)
        _carry_out(fault.action, path)


def _note(fault: Fault, path: Path | None) -> None:
    if LOG_VARIABLE in os.environ:
        with open(os.environ[LOG_VARIABLE], "a", encoding="utf-8") as stream:
            stream.write(f"{fault.action}@{fault.point}:{fault.passing} {path or ''}\n")


def _carry_out(action: str, path: Path | None) -> None:
    if action in _ERRORS:
        number = _ERRORS[action]
        raise OSError(number, os.strerror(number), None if path is None else str(path))
    if action == "slow":
        time.sleep(SLOW_S)
        return
    if action == "audio":
        raise BrokenAudio("broken by ASRKD_FAULT")
    if action == "tear" and path is not None and path.is_file():
        os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
