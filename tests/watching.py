"""Monitors and watches of tasks for tests: nobody looks, or what is reported is kept."""

from typing import Any

from asrkd.core.task_monitor import Report, TaskMonitor


def unwatched() -> TaskMonitor:
    """A monitor for a task that nobody watches."""
    return TaskMonitor(lambda report: None, lambda: False)


class Watch:
    """Keeps all reports; wants a stop once there are so many of cuts that are new."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.reports: list[tuple[Any, Report]] = []
        self.stop_after = stop_after

    def advance(self, task: Any, report: Report) -> None:
        self.reports.append((task, report))

    def must_stop(self) -> bool:
        fresh = sum(not report.resumed for _, report in self.reports)
        return self.stop_after is not None and fresh >= self.stop_after

    def count(self, task: Any) -> int:
        return sum(report.units for own, report in self.reports if own == task)
