"""Link between a running task and the process that started it: finished units, and requests to stop.

A task calls :meth:`TaskMonitor.advance` and :meth:`TaskMonitor.must_stop`,
wherever it runs. In a worker process reports go through a pipe in messages
shorter than PIPE_BUF, which the system writes whole without a lock, so a worker
that is killed while it writes blocks no other.
"""

import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

REPORT_EVERY_S = 0.2  # between two messages of a worker: a fast teacher finishes thousands of cuts a second
_MESSAGE = struct.Struct("<iid?")


class Report(NamedTuple):
    """Report of a task's progress."""

    units: int  # finished since the last report; negative: units that were reported but are lost
    audio_s: float = 0.0  # seconds of audio in them
    resumed: bool = False  # they were finished by an earlier run


class TaskWatch(Protocol):
    """Receiver of reports, in the process that started the tasks."""

    def advance(self, task: Any, report: Report) -> None:
        """Receive a report of a task."""

    def must_stop(self) -> bool:
        """Return whether the tasks must save their work and end."""


class TaskMonitor:
    """Monitor of one task, for the function that runs it."""

    def __init__(self, report: Callable[[Report], None], must_stop: Callable[[], bool]) -> None:
        """Send reports to ``report``; ``must_stop`` returns whether a stop is requested."""
        self._report, self.must_stop = report, must_stop

    def advance(self, count: int, audio_s: float = 0.0, *, resumed: bool = False) -> None:
        """Report units that are finished.

        Args:
            count: number of units; below 0 for units that were reported but are lost.
            audio_s: seconds of audio in them.
            resumed: whether an earlier run finished them.
        """
        self._report(Report(count, audio_s, resumed))


class WorkerReports:
    """Reports of one task in a worker process, summed and sent a few times a second."""

    def __init__(self, pipe: Connection, task: int) -> None:
        """Send reports of task number ``task`` through ``pipe``."""
        self._pipe, self._task = pipe, task
        self._count, self._audio_s = 0, 0.0
        self._sent_at = -float("inf")

    def add(self, report: Report) -> None:
        """Add a report, and send the sum if the last one was sent long enough ago."""
        if report.resumed:
            self._send(report)
            return
        self._count, self._audio_s = self._count + report.units, self._audio_s + report.audio_s
        if time.monotonic() - self._sent_at >= REPORT_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Send the sum of the reports that were not sent yet."""
        if self._count or self._audio_s:
            self._send(Report(self._count, self._audio_s))
        self._count, self._audio_s, self._sent_at = 0, 0.0, time.monotonic()

    def _send(self, report: Report) -> None:
        self._pipe.send_bytes(_MESSAGE.pack(self._task, *report))


def received(pipe: Connection) -> list[tuple[int, Report]]:
    """Return the (task number, report) pairs that workers have sent since the last call."""
    reports = []
    while pipe.poll():
        task, *report = _MESSAGE.unpack(pipe.recv_bytes())
        reports.append((task, Report(*report)))
    return reports
