"""Stopping in time: SIGTERM, SIGUSR1 and a time limit ask; the work saves and leaves.

Schedulers send a signal some minutes before they kill. The handlers only
take a note; the loop that does the work asks :meth:`StopRequest.reason`
between two pieces of it, saves, and raises :class:`~asrkd.core.errors.StoppedInTime`.
"""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from asrkd.core.errors import AsrkdError, StoppedInTime

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class StopRequest:
    """Whether somebody wants the work to stop, and why."""

    def __init__(self, time_limit_s: float | None = None) -> None:
        self.time_limit_s = time_limit_s
        self._deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
        self._signal: str | None = None

    def note_signal(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler: remember which one came."""
        self._signal = signal.Signals(number).name

    def reason(self) -> str | None:
        """The name of the signal, or 'time limit'; None to go on."""
        if self._signal:
            return self._signal
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time limit"
        return None

    def check(self, what_was_saved: str) -> None:
        """Raise if asked to stop.

        Raises:
            StoppedInTime: with ``what_was_saved`` in its message.
        """
        if reason := self.reason():
            raise stopped(reason, what_was_saved)


def stopped(reason: str, what_was_saved: str, go_on: str = "run the same command") -> StoppedInTime:
    """The error that ends a command which was asked to stop and has saved its work."""
    return StoppedInTime(f"stopped by {reason}: {what_was_saved}; {go_on} to go on")


@contextmanager
def stop_requests(time_limit_s: float | None = None) -> Iterator[StopRequest]:
    """Listen for SIGTERM and SIGUSR1 within the block; the old handlers come back after it."""
    request = StopRequest(time_limit_s)
    before = {number: signal.signal(number, request.note_signal) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_time_limit(text: str | None, option: str = "--time-limit") -> float | None:
    """Seconds in '90', '90s', '30m', '2h', '1d' or '01:30:00'; None stays None.

    Args:
        text: what was given.
        option: where it was given, for the message.

    Raises:
        AsrkdError: it is none of these.
    """
    if text is None:
        return None
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip()):
        return float(match[1]) * _SECONDS[match[2] or "s"]
    if match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+)", text.strip()):
        return int(match[1] or 0) * 3600.0 + int(match[2]) * 60.0 + int(match[3])
    raise AsrkdError(f"{option} {text!r}: expected seconds, 30m, 2h, 1d or hh:mm:ss")
