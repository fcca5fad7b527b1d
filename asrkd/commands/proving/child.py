"""Command of asrkd in a forked process, with optional faults.

The fork has all modules already, so that it starts at once; it can be killed
like any other process.
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
    """Exit of a command."""

    status: int  # exit status; minus the signal that killed it
    stderr: str
    was_struck: bool  # whether the requested fault occurred

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended the command."""
        return self.status == -signal.SIGKILL


@dataclass(frozen=True)
class Command:
    """Command of asrkd, with its folder, log and environment."""

    entry: Callable[[], None]  # console entry, which reads sys.argv
    words: tuple[str, ...]  # after 'asrkd'
    cwd: Path
    log: Path  # log of stderr, replaced each time
    environment: Mapping[str, str] = field(default_factory=dict)  # variables in addition to this process's

    def run(self, fault: str | None = None) -> CommandExit:
        """Run the command to its end, with a fault if one is given."""
        return self._ended(self._fork(fault))

    def run_and_kill(self, out: Path, delay_s: float) -> CommandExit:
        """Run the command, and kill it this long after its first file in ``out``."""
        pid = self._fork(None)
        while not _has_files(out):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return self._read(status)
            time.sleep(LOOK_EVERY_S)
        time.sleep(delay_s)
        os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid is still the command's
        return self._ended(pid)

    @property
    def _strikes(self) -> Path:
        """File in which the command records that the fault occurred."""
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
        """Run the command in the forked process, and exit."""
        status = 70  # EX_SOFTWARE, if the console entry itself fails
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
        stderr = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        return CommandExit(os.waitstatus_to_exitcode(status), stderr, self._strikes.is_file())


def _write_to(log: Path) -> None:
    """Redirect stdout and stderr of this process to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(descriptor, number)
    # Replace other streams, such as a test's capture.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (open until the process ends)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _has_files(out: Path) -> bool:
    return out.is_dir() and any(out.iterdir())
