"""Tasks of a sweep side by side, each in a process that is forked from one with torch loaded."""

import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any

from asrkd.commands.sweeping.child import POLL_EVERY_S, STOP_SIGNALS, Exit, Task, run_task
from asrkd.core.parallel import fork_server
from asrkd.core.stopping import StopRequest

Started = tuple[Task, Connection]


def run_side_by_side(
    tasks: Sequence[Task], jobs: int, stop: StopRequest
) -> Generator[tuple[Task, Exit], None, None]:
    """Yield tasks as they end, at most ``jobs`` of them running at a time.

    On a requested stop no more are started, and the running ones are asked to save; so are they when the loop
    is left early. A task that another process holds is tried again.

    Args:
        tasks: tasks, in the order of their starts.
        jobs: number of processes.
        stop: request to stop.
    """
    waiting = list(reversed(tasks))
    running: dict[BaseProcess, Started] = {}
    with _server() as context:
        try:
            while running or (waiting and not stop.reason()):
                while waiting and len(running) < jobs and not stop.reason():
                    process, started = _start(context, waiting.pop())
                    running[process] = started
                wait_for([process.sentinel for process in running], POLL_EVERY_S)
                if stop.reason():
                    _terminate(running)
                for task, ended in _gather(running):
                    if ended.kind == "busy":
                        waiting.insert(0, task)
                    else:
                        yield task, ended
        finally:
            _terminate(running)
            for process in running:
                process.join()


@contextmanager
def _server() -> Iterator[Any]:
    """Start the process that others are forked from; it blocks signals, which its children handle."""
    context = fork_server()
    resource_tracker.ensure_running()  # before, as it unblocks signals
    # SIGINT while it imports would print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, signal.SIGINT))
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    yield context


def _start(context: Any, task: Task) -> tuple[BaseProcess, Started]:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_task, args=(task, sender), name=task.name)
    process.start()
    sender.close()
    return process, (task, receiver)


def _gather(running: dict[BaseProcess, Started]) -> Iterator[tuple[Task, Exit]]:
    """Remove the processes that have ended, and yield how."""
    for process in [process for process in running if process.exitcode is not None]:
        task, receiver = running.pop(process)
        with receiver:
            try:
                ended = receiver.recv()
            except EOFError:
                ended = Exit("failed", _killed(process.exitcode or 0))
        yield task, ended


def _killed(exit_code: int) -> str:
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}{' (out of memory?)' if exit_code == -9 else ''}"
    return f"ended with exit status {exit_code}"


def _terminate(running: dict[BaseProcess, Started]) -> None:
    for process in running:
        if process.exitcode is None:
            process.terminate()
