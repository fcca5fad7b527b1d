"""A command of asrkd in a process of its own, which may be struck on purpose.

The process is forked from this one, where the command line has imported the commands
already: it starts in a moment, and is killed as any other is.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.core import faults

LOOK_EVERY_S = 0.002


@dataclass(frozen=True)
class CommandExit:
    """How a command ended."""

    status: int  # exit status; minus the signal where it was killed
    stderr: str
    was_struck: bool  # whether the fault that was asked for came to pass

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL


@dataclass(frozen=True)
class Command:
    """What is run, where."""

    entry: Callable[[], None]  # console entry, which reads sys.argv
    words: tuple[str, ...]  # after 'asrkd'
    cwd: Path
    log: Path  # of stderr, replaced each time
    environment: Mapping[str, str] = field(default_factory=dict)  # beside this process's own

    def run(self, fault: str | None = None) -> CommandExit:
        """Run it to its end, struck by ``fault`` if one is given."""
        return self._ended(self._fork(fault))

    def run_and_kill(self, out: Path, delay_s: float) -> CommandExit:
        """Run it and kill it so long after it began to write into ``out``."""
        pid = self._fork(None)
        while not _has_files(out):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return self._read(status)
            time.sleep(LOOK_EVERY_S)
        time.sleep(delay_s)
        os.kill(pid, signal.SIGKILL)  # until it is waited for the number is nobody else's
        return self._ended(pid)

    @property
    def _strikes(self) -> Path:
        """Where the command notes that it was struck."""
        return self.log.with_suffix(".strikes")

    def _fork(self, fault: str | None) -> int:
        self._strikes.unlink(missing_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(fault)
        return pid

    def _become(self, fault: str | None) -> None:
        """In the new process: be the command, and never come back."""
        status = 70  # EX_SOFTWARE, should even the console entry fail
        try:
            os.chdir(self.cwd)
            _write_to(self.log)
            sys.argv = ["asrkd", *self.words]
            os.environ.pop(faults.VARIABLE, None)
            os.environ.update(self.environment)
            os.environ[faults.LOG_VARIABLE] = str(self._strikes)
            if fault is not None:
                os.environ[faults.VARIABLE] = fault
            try:
                self.entry()
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _ended(self, pid: int) -> CommandExit:
        return self._read(os.waitpid(pid, 0)[1])

    def _read(self, status: int) -> CommandExit:
        said = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        return CommandExit(os.waitstatus_to_exitcode(status), said, self._strikes.is_file())


def _write_to(log: Path) -> None:
    """Send this process's stdout and stderr to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(descriptor, number)
    # Whatever stood in their places, a test's capture for one.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (open until the process ends)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _has_files(out: Path) -> bool:
    return out.is_dir() and any(out.iterdir())
