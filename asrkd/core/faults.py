"""Faults on purpose: an environment variable makes a named point fail, to prove that nothing is lost.

``ASRKD_FAULT=ACTION@POINT[:N]`` strikes when a process comes to POINT for
the Nth time (the first by default), once in each process (``slow`` ever after). With
``ASRKD_FAULT_LOG=FILE`` each strike is appended there as a line first.

======== ===================================================================
point    where
======== ===================================================================
open     a file is about to be written, under a name of its own
publish  it is written; it is about to be synced and to get its name
named    it has its name
decode   the audio of a cut is about to be decoded
answer   a teacher, or a recognizer that is scored, has answered about a cut
step     an update of a training was made
======== ===================================================================

======== ===================================================================
action   what happens
======== ===================================================================
kill     the process gets SIGKILL
tear     the file loses its second half, then the process gets SIGKILL: what
         a power cut leaves of a file that was not synced (at publish)
nospace  the disk is full (ENOSPC)
readonly the file system is read-only (EROFS)
io       the disk fails (EIO)
audio    decoding fails, as of a broken file (at decode)
slow     the process sleeps for a second, at the Nth passing and at every
         later one, and notes each: slow@answer makes a teacher that takes a
         second a cut
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
    """What is to happen, where, and at which passing."""

    action: str
    point: str
    passing: int  # counted from 1, in each process


class BrokenAudio(OSError):
    """What ``audio`` raises, in place of the decoder's own complaint."""


@lru_cache(maxsize=8)
def parse(text: str) -> Fault:
    """The fault that ``ASRKD_FAULT`` asks for.

    Raises:
        AsrkdError: it is not ACTION@POINT or ACTION@POINT:N.
    """
    match = re.fullmatch(r"(\w+)@(\w+)(?::(\d+))?", text)
    if not match or match[1] not in ACTIONS or match[2] not in POINTS:
        raise AsrkdError(
            f"{VARIABLE}={text}: expected ACTION@POINT[:N], an action of {', '.join(ACTIONS)} "
            f"at a point of {', '.join(POINTS)}; unset it: unset {VARIABLE}"
        )
    return Fault(match[1], match[2], int(match[3] or 1))


def strike(point: str, path: Path | None = None) -> None:
    """Come to a point; nothing happens unless the environment asks for it here and now.

    Args:
        point: one of ``POINTS``.
        path: the file that is dealt with, where there is one.

    Raises:
        OSError: that is what is asked for.
        AsrkdError: what is asked for cannot be understood.
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
        raise BrokenAudio("broken on purpose by ASRKD_FAULT")
    if action == "tear" and path is not None and path.is_file():
        os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
