"""Process of a run: trains it as ``asrkd train`` does, and reports how it ended.

A run has a process of its own, so that one that is killed or fails leaves the others alone. Its output goes
to a log.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, Literal, Protocol

from asrkd.core import files
from asrkd.core.artifacts import DIVERGED
from asrkd.core.command_record import command_line
from asrkd.core.errors import DivergedError, StoppedInTime
from asrkd.core.library_errors import as_user_error
from asrkd.core.locks import RETRY_S, try_lock
from asrkd.core.stopping import StopRequest, stop_requests

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
POLL_EVERY_S = 0.5  # for the end of the parent


class Train(Protocol):
    """Function of ``asrkd train``, handed over; importable by name."""

    def __call__(
        self, config_path: Path, out: Path, overrides: Sequence[str], options: Any, stop: StopRequest
    ) -> object:
        """Train the model of a config, or resume its training."""


@dataclass(frozen=True)
class Task:
    """Training of a run, to its end or until a step; picklable."""

    name: str
    train: Train
    config: Path
    out: Path
    overrides: tuple[str, ...]
    options: Any  # of ``train``
    log: Path

    @property
    def words(self) -> list[str | Path]:
        """The command line that makes the same folder, without ``--out``."""
        sets = [word for override in self.overrides for word in ("--set", override)]
        return ["asrkd", "train", self.config, *sets]


@dataclass(frozen=True)
class Exit:
    """How the process of a task ended.

    ``error`` is a mistake of the user; ``failed`` a bug or a kill; ``busy`` a run that another process holds.
    """

    kind: Literal["ended", "stopped", "diverged", "error", "failed", "busy"]
    message: str = ""
    status: int = 1  # exit status of an error


def run_task(task: Task, sender: Connection) -> None:
    """Train in this process, which was started for it, and send the :class:`Exit`."""
    # The parent asks for stops by SIGTERM; Ctrl-C on a terminal reaches all processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["WORLD_SIZE"] = "1"  # also in a step of several tasks of a scheduler
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with _output_to(task.log), stop_requests() as stop, command_line(task.words):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # blocked in the server that forked
        sender.send(_train(task, stop))


def _train(task: Task, stop: StopRequest) -> Exit:
    try:
        with try_lock(task.out.parent / "locks" / f"{task.out.name}.lock") as is_held:
            if not is_held:
                time.sleep(RETRY_S)
                return Exit("busy")
            task.train(task.config, task.out, task.overrides, task.options, stop)
        return Exit("ended")
    except StoppedInTime as error:
        return _logged(Exit("stopped", str(error)))
    except DivergedError as error:
        files.write_json(task.out / DIVERGED, {"reason": str(error)})
        return _logged(Exit("diverged", str(error)))
    except Exception as error:
        if (known := as_user_error(error)) is not None:
            return _logged(Exit("error", str(known), known.exit_status))
        traceback.print_exc()
        return Exit("failed", f"{type(error).__name__}: {error}")


def _logged(ended: Exit) -> Exit:
    print(f"asrkd: {ended.message}", file=sys.stderr)
    return ended


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Append what the process and its libraries print within the block to ``log``."""
    files.make_folder(log.parent)
    with log.open("a") as stream:
        for standard in (sys.stdout, sys.stderr):
            standard.flush()
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        yield
        for standard in (sys.stdout, sys.stderr):
            standard.flush()


def _end_with_parent() -> None:
    """End this process when its parent was killed, so that the next sweep finds the run free."""
    parent = parent_process()
    assert parent is not None
    while not wait_for([parent.sentinel], POLL_EVERY_S):
        pass
    os._exit(1)
