"""The same work in one process or many, with the same result.

Every task runs on one torch thread, here or in a worker, because sums taken
by several threads differ in their last bits: the number of jobs must not
change what is written.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple, TypeVar

from asrkd.core.errors import AsrkdError
from asrkd.core.library_errors import user_errors
from asrkd.core.task_monitor import TaskMonitor, TaskWatch, WorkerReports, received

LOOK_EVERY_S = 0.5  # for reports of workers and requests to stop
STOP, LEAVE = 1, 2  # what workers are asked for: to save and end their tasks; and then to end themselves

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread within the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_jobs(jobs: int) -> None:
    """Raise AsrkdError unless ``jobs`` is positive; for stages, before they write anything."""
    if jobs < 1:
        raise AsrkdError(f"--jobs {jobs}: expected 1 or more")


def run_tasks(
    function: Callable[[Task, TaskMonitor], Result], tasks: Sequence[Task], *, jobs: int, watch: TaskWatch
) -> Generator[tuple[Task, Result], None, None]:
    """(task, result) of ``function`` for every task, as they are finished.

    When ``watch`` wants a stop no more tasks are begun, and those that run
    are told by their monitors. The same happens when the loop is left before
    its end, or a task fails: the others end soon, and are waited for.

    Args:
        function: importable by name, so that workers can find it; is given a task and its monitor.
        tasks: picklable descriptions of independent pieces of work.
        jobs: how many processes; 1 stays in this one.
        watch: hears of the tasks' progress; asked twice a second, or after a task, whether to stop.

    Raises:
        AsrkdError: ``jobs`` is not positive, or a worker died. What a task
            raises is passed on, after the tasks in hand have ended.
    """
    check_jobs(jobs)
    return _run(function, tasks, jobs, watch)


def _run(
    function: Callable[[Any, TaskMonitor], Any], tasks: Sequence[Any], jobs: int, watch: TaskWatch
) -> Generator[tuple[Any, Any], None, None]:
    if jobs == 1 or len(tasks) < 2:
        with one_thread():
            yield from _in_turn(function, tasks, watch)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "lhotse"])
    link = _Link(context)
    with (
        closing(link),
        ProcessPoolExecutor(
            min(jobs, len(tasks)),
            mp_context=context,
            initializer=_begin,
            initargs=(link.sender, link.stopping),
        ) as pool,
    ):
        try:
            yield from _drain(pool, function, tasks, jobs, link, watch)
        except BrokenProcessPool:
            link.leave()
            raise AsrkdError(
                "a worker process was killed (out of memory?); what was finished is kept: "
                "run again, with fewer --jobs if it was memory"
            ) from None
        finally:
            link.stop()
            pool.shutdown(wait=True, cancel_futures=True)


def _in_turn(
    function: Callable[[Any, TaskMonitor], Any], tasks: Sequence[Any], watch: TaskWatch
) -> Iterator[tuple[Any, Any]]:
    for left, task in zip(reversed(range(len(tasks))), tasks, strict=True):
        yield task, function(task, TaskMonitor(partial(watch.advance, task), watch.must_stop))
        if left and watch.must_stop():
            return


class _Link:
    """What the workers and this process share."""

    def __init__(self, context: BaseContext) -> None:
        self.receiver, self.sender = context.Pipe(duplex=False)
        self.stopping = context.RawValue("b", 0)  # no lock, which a killed worker might hold

    def stop(self) -> None:
        """Ask all workers to save and end their tasks."""
        self.stopping.value = self.stopping.value or STOP

    def leave(self) -> None:
        """Ask them to end themselves then: one that was killed while it waited for a task holds the queue."""
        self.stopping.value = LEAVE

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


def _drain(
    pool: ProcessPoolExecutor,
    function: Callable[[Any, TaskMonitor], Any],
    tasks: Sequence[Any],
    jobs: int,
    link: _Link,
    watch: TaskWatch,
) -> Iterator[tuple[Any, Any]]:
    """Keep at most two tasks a worker queued, so that a stop loses little."""
    waiting = list(reversed(range(len(tasks))))
    running: dict[Future[Any], int] = {}
    while waiting or running:
        while waiting and len(running) < 2 * jobs:
            number = waiting.pop()
            running[pool.submit(_call, function, number, tasks[number])] = number
        done = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED).done
        for number, report in received(link.receiver):
            watch.advance(tasks[number], report)
        for future in done:
            task, begun = tasks[running.pop(future)], future.result()
            if begun is not None:
                yield task, begun.result
        if (waiting or running) and watch.must_stop():
            link.stop()  # those that are queued come back at once
            waiting = []


class _Begun(NamedTuple):
    """A task that was begun before a stop was asked for, and what it returned."""

    result: Any


_worker_link: tuple[Connection, Any] | None = None  # in a worker process: where to report, whether to stop
_in_task = False  # in a worker process


def _call(function: Callable[[Any, TaskMonitor], Any], number: int, task: Any) -> _Begun | None:
    """In a worker: run a task, unless the work is being stopped."""
    global _in_task
    assert _worker_link is not None
    sender, stopping = _worker_link
    reports = WorkerReports(sender, number)
    _in_task = True
    try:
        if stopping.value:
            return None
        with user_errors():  # of libraries: the parent would not see where they come from
            return _Begun(function(task, TaskMonitor(reports.add, lambda: bool(stopping.value))))
    finally:
        reports.flush()
        _in_task = False


def _begin(sender: Connection, stopping: Any) -> None:
    """What a worker does first."""
    import torch

    global _worker_link
    _worker_link = sender, stopping
    torch.set_num_threads(1)
    # The parent decides when to stop, and says so by ``stopping``; Ctrl-C on a terminal reaches all of them.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_when_needless, args=(stopping,), daemon=True).start()


def _end_when_needless(stopping: Any) -> None:
    """End this worker when its parent was killed, or wants that and no task is in hand.

    It would wait for work for ever, its memory held: nothing comes through the queue any more.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    while not wait_for([parent.sentinel], LOOK_EVERY_S):
        if stopping.value == LEAVE and not _in_task:
            break
    os._exit(1)
