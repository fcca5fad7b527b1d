"""The link between a running task and the process that started it: units finished, and requests to stop.

A task calls :meth:`TaskMonitor.advance` and :meth:`TaskMonitor.must_stop`,
wherever it runs. In a worker process reports go through a pipe in messages
below PIPE_BUF, which the system writes whole without any lock: a worker that
is killed in the middle of one blocks nobody.
"""

import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

REPORT_EVERY_S = 0.2  # of a worker, at most: a fast teacher finishes thousands of cuts a second
_MESSAGE = struct.Struct("<iid?")


class Report(NamedTuple):
    """What a task has to say of its progress."""

    units: int  # finished since the last report; negative: taken back, as they are not kept
    audio_s: float = 0.0  # seconds of audio in them
    resumed: bool = False  # they were finished by an earlier run


class TaskWatch(Protocol):
    """The side of the process that started the tasks."""

    def advance(self, task: Any, report: Report) -> None:
        """Take notice of a task's progress."""

    def must_stop(self) -> bool:
        """Whether the tasks shall save what they have and end."""


class TaskMonitor:
    """The side of a task."""

    def __init__(self, report: Callable[[Report], None], must_stop: Callable[[], bool]) -> None:
        """Pass reports to ``report``, and requests from ``must_stop``."""
        self._report, self.must_stop = report, must_stop

    def advance(self, count: int, audio_s: float = 0.0, *, resumed: bool = False) -> None:
        """Report units that are finished.

        Args:
            count: how many more; below 0 for some that were reported but are not kept.
            audio_s: seconds of audio in them.
            resumed: an earlier run finished them.
        """
        self._report(Report(count, audio_s, resumed))


class WorkerReports:
    """Reports of one task in a worker process, gathered and sent a few times a second."""

    def __init__(self, pipe: Connection, task: int) -> None:
        """Send through ``pipe`` in the name of task number ``task``."""
        self._pipe, self._task = pipe, task
        self._count, self._audio_s = 0, 0.0
        self._sent_at = -float("inf")

    def add(self, report: Report) -> None:
        """Send a report, or keep it until there are more."""
        if report.resumed:
            self._send(report)
            return
        self._count, self._audio_s = self._count + report.units, self._audio_s + report.audio_s
        if time.monotonic() - self._sent_at >= REPORT_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Send what was kept."""
        if self._count or self._audio_s:
            self._send(Report(self._count, self._audio_s))
        self._count, self._audio_s, self._sent_at = 0, 0.0, time.monotonic()

    def _send(self, report: Report) -> None:
        self._pipe.send_bytes(_MESSAGE.pack(self._task, *report))


def received(pipe: Connection) -> list[tuple[int, Report]]:
    """The (task number, report) pairs that workers have sent since the last call."""
    reports = []
    while pipe.poll():
        task, *report = _MESSAGE.unpack(pipe.recv_bytes())
        reports.append((task, Report(*report)))
    return reports
