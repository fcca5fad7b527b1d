"""Stop requests: on SIGTERM, SIGUSR1 or a time limit, a command saves its work and ends.

Schedulers send a signal some minutes before they kill. The handlers only
store the signal; the loop of the work calls :meth:`StopRequest.reason`
between two steps, saves, and raises :class:`~asrkd.core.errors.StoppedInTime`.
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
    """Request to stop the work: a received signal, or a time limit that has passed."""

    def __init__(self, time_limit_s: float | None = None) -> None:
        self.time_limit_s = time_limit_s
        self._deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
        self._signal: str | None = None

    def note_signal(self, number: int, _frame: FrameType | None) -> None:
        """Store the received signal; a signal handler."""
        self._signal = signal.Signals(number).name

    def reason(self) -> str | None:
        """Return the name of the signal, or 'time limit'; None if no stop is requested."""
        if self._signal:
            return self._signal
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time limit"
        return None

    def check(self, what_was_saved: str) -> None:
        """Raise StoppedInTime if a stop is requested.

        Raises:
            StoppedInTime: a stop is requested; the message contains ``what_was_saved``.
        """
        if reason := self.reason():
            raise stopped(reason, what_was_saved)


def stopped(reason: str, what_was_saved: str, go_on: str = "run the same command") -> StoppedInTime:
    """Make the error that ends a command after it has saved its work."""
    return StoppedInTime(f"stopped by {reason}: {what_was_saved}; {go_on} to go on")


@contextmanager
def stop_requests(time_limit_s: float | None = None, *, hangup: bool = False) -> Iterator[StopRequest]:
    """Handle SIGTERM and SIGUSR1 within the block; restore the old handlers after it.

    Args:
        time_limit_s: seconds until the time limit; None for none.
        hangup: whether to handle SIGHUP too, unless it is ignored, as under nohup.
    """
    request = StopRequest(time_limit_s)
    signals = list(_SIGNALS)
    if hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, request.note_signal) for number in signals}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_time_limit(text: str | None, option: str = "--time-limit") -> float | None:
    """Parse '90', '90s', '30m', '2h', '1d' or '01:30:00' to seconds; None stays None.

    Args:
        text: value of the option.
        option: name of the option, for the message.

    Raises:
        AsrkdError: the value has none of these forms.
    """
    if text is None:
        return None
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip()):
        return float(match[1]) * _SECONDS[match[2] or "s"]
    if match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+)", text.strip()):
        return int(match[1] or 0) * 3600.0 + int(match[2]) * 60.0 + int(match[3])
    raise AsrkdError(f"{option} {text!r}: expected seconds, 30m, 2h, 1d or hh:mm:ss")
