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
from contextlib import contextmanager
from typing import Any, TypeVar

from asrkd.errors import AsrkdError

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
    function: Callable[[Task], Result], tasks: Sequence[Task], *, jobs: int
) -> Generator[tuple[Task, Result], None, None]:
    """(task, result) of ``function`` for every task, as they are finished.

    Leaving the loop before its end drops the tasks that no worker has begun
    and waits for the others.

    Args:
        function: importable by name, so that workers can find it.
        tasks: picklable descriptions of independent pieces of work.
        jobs: how many processes; 1 stays in this one.

    Raises:
        AsrkdError: ``jobs`` is not positive, or a worker died. What a task
            raises is passed on, after the tasks in hand are finished.
    """
    check_jobs(jobs)
    return _run(function, tasks, jobs)


def _run(
    function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int
) -> Generator[tuple[Any, Any], None, None]:
    if jobs == 1 or len(tasks) < 2:
        with one_thread():
            for task in tasks:
                yield task, function(task)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "lhotse"])
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context, initializer=_begin) as pool:
        try:
            yield from _drain(pool, function, tasks, jobs)
        except BrokenProcessPool:
            raise AsrkdError(
                "a worker process was killed (out of memory?); what was finished is kept: "
                "run again, with fewer --jobs if it was memory"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _drain(
    pool: ProcessPoolExecutor, function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int
) -> Iterator[tuple[Any, Any]]:
    """Keep at most two tasks a worker queued, so that a stop loses little."""
    waiting = list(reversed(tasks))
    running: dict[Future[Any], Any] = {}
    while waiting or running:
        while waiting and len(running) < 2 * jobs:
            task = waiting.pop()
            running[pool.submit(function, task)] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def _begin() -> None:
    """What a worker does first."""
    import torch

    torch.set_num_threads(1)
    # The parent decides when to stop; a worker finishes the shard in hand.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave no worker behind a parent that was killed: it would wait for work for ever, its memory held."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
