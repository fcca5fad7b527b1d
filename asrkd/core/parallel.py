"""Independent tasks in one process or in many, with the same results.

Every task runs on one torch thread, in this process or in a worker, because
sums taken by several threads differ in their last bits: the number of jobs
must not change the files.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext, ForkServerContext
from typing import Any, NamedTuple, TypeVar

from asrkd.core.errors import AsrkdError
from asrkd.core.library_errors import user_errors
from asrkd.core.sockets import keep_sockets_short
from asrkd.core.task_monitor import TaskMonitor, TaskWatch, WorkerReports, received

POLL_EVERY_S = 0.5  # for reports of workers and requests to stop
STOP, LEAVE = 1, 2  # requests to workers: to save and end their tasks; and to end themselves after it

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
    """Raise AsrkdError unless ``jobs`` is positive; for commands, before they write anything."""
    if jobs < 1:
        raise AsrkdError(f"--jobs {jobs}: expected 1 or more")


def _always(_task: object) -> AbstractContextManager[bool]:
    return nullcontext(True)


def run_tasks(
    function: Callable[[Task, TaskMonitor], Result],
    tasks: Sequence[Task],
    *,
    jobs: int,
    watch: TaskWatch,
    hold: Callable[[Task], AbstractContextManager[bool]] = _always,
) -> Generator[tuple[Task, Result], None, None]:
    """Yield (task, result) of ``function`` for every task, as they are finished.

    When ``watch`` requests a stop, no more tasks are started, and the monitors of
    running tasks pass the request on. The same happens when the loop is left
    early, or a task fails: the other tasks end soon, and are waited for.

    Args:
        function: function of a task and its monitor; importable by name, for worker processes.
        tasks: picklable descriptions of independent tasks.
        jobs: number of processes; 1 runs all tasks in this one.
        watch: receiver of the tasks' reports; polled for a stop twice a second, or after each task.
        hold: context manager around each task, which yields False to skip it; importable by name.

    Raises:
        AsrkdError: ``jobs`` is not positive, or a worker died. An exception of a
            task is raised after the running tasks have ended.
    """
    check_jobs(jobs)
    if jobs > 1 and len(tasks) > 1:
        yield from _in_workers(partial(_call, function, hold), tasks, jobs, watch)
        return
    with one_thread():
        for left, task in zip(reversed(range(len(tasks))), tasks, strict=True):
            monitor = TaskMonitor(partial(watch.advance, task), watch.must_stop)
            with hold(task) as is_held:
                results = [function(task, monitor)] if is_held else []
            yield from ((task, result) for result in results)
            if left and watch.must_stop():
                return


def fork_server() -> ForkServerContext:
    """Context of processes that are forked from one that has imported the slow libraries."""
    keep_sockets_short()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "lhotse"])
    return context


def _in_workers(
    call: "Callable[[int, Any], _Begun | None]", tasks: Sequence[Any], jobs: int, watch: TaskWatch
) -> Iterator[tuple[Any, Any]]:
    """Run the tasks in worker processes."""
    context = fork_server()
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
            yield from _drain(pool, call, tasks, jobs, link, watch)
        except BrokenProcessPool:
            link.leave()
            raise AsrkdError(
                "a worker process was killed (out of memory?); finished work is saved: "
                "run the command again, with fewer --jobs if memory ran out"
            ) from None
        finally:
            link.stop()
            pool.shutdown(wait=True, cancel_futures=True)


class _Link:
    """Pipe for reports and flag for requests, shared with the workers."""

    def __init__(self, context: BaseContext) -> None:
        self.receiver, self.sender = context.Pipe(duplex=False)
        self.stopping = context.RawValue("b", 0)  # without a lock, which a killed worker might hold

    def stop(self) -> None:
        """Request all workers to save and end their tasks."""
        self.stopping.value = self.stopping.value or STOP

    def leave(self) -> None:
        """Request all workers to end after their tasks: one that was killed may block the queue of tasks."""
        self.stopping.value = LEAVE

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


def _drain(
    pool: ProcessPoolExecutor,
    call: "Callable[[int, Any], _Begun | None]",
    tasks: Sequence[Any],
    jobs: int,
    link: _Link,
    watch: TaskWatch,
) -> Iterator[tuple[Any, Any]]:
    """Keep at most two tasks per worker queued, so that a stop loses little."""
    waiting = list(reversed(range(len(tasks))))
    running: dict[Future[Any], int] = {}
    while waiting or running:
        while waiting and len(running) < 2 * jobs:
            number = waiting.pop()
            running[pool.submit(call, number, tasks[number])] = number
        done = wait(running, timeout=POLL_EVERY_S, return_when=FIRST_COMPLETED).done
        for number, report in received(link.receiver):
            watch.advance(tasks[number], report)
        for future in done:
            task, begun = tasks[running.pop(future)], future.result()
            if begun is not None:
                yield task, begun.result
        if (waiting or running) and watch.must_stop():
            link.stop()  # queued tasks return at once
            waiting = []


class _Begun(NamedTuple):
    """Result of a task that was started before a stop was requested."""

    result: Any


_worker_link: tuple[Connection, Any] | None = None  # in a worker process: pipe for reports, request flag
_in_task = False  # in a worker process


def _call(
    function: Callable[[Any, TaskMonitor], Any],
    hold: Callable[[Any], AbstractContextManager[bool]],
    number: int,
    task: Any,
) -> _Begun | None:
    """Run a task in a worker; return None if a stop is requested, or the task is not held."""
    global _in_task
    assert _worker_link is not None
    sender, stopping = _worker_link
    reports = WorkerReports(sender, number)
    _in_task = True
    try:
        if stopping.value:
            return None
        with user_errors(), hold(task) as is_held:  # converted here, as tracebacks do not reach the parent
            if not is_held:
                return None
            return _Begun(function(task, TaskMonitor(reports.add, lambda: bool(stopping.value))))
    finally:
        reports.flush()
        _in_task = False


def _begin(sender: Connection, stopping: Any) -> None:
    """Initialize a worker process."""
    import torch

    global _worker_link
    _worker_link = sender, stopping
    torch.set_num_threads(1)
    # The parent decides when to stop, and sets ``stopping``; Ctrl-C on a terminal reaches all processes.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_when_orphaned, args=(stopping,), daemon=True).start()


def _end_when_orphaned(stopping: Any) -> None:
    """End this worker when its parent was killed, or requests it while no task is running.

    Otherwise the worker would wait for tasks and hold its memory forever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    while not wait_for([parent.sentinel], POLL_EVERY_S):
        if stopping.value == LEAVE and not _in_task:
            break
    os._exit(1)
