"""Task of a job: run the command as a child process, forward signals to it, and report its exit status."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

# Signal sent to the command, by the signal that the job received: commands handle these two.
_FORWARDED = {
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGTERM,
    signal.SIGUSR1: signal.SIGUSR1,
    signal.SIGUSR2: signal.SIGUSR1,
}


@dataclass(frozen=True)
class TaskExit:
    """Exit of a command."""

    status: int  # exit status; minus the number of the signal that killed it
    last_line: str  # last line of stderr
    output: str  # stdout, a few lines for asrkd's commands


@dataclass(frozen=True)
class Task:
    """Command to run as a job; called by the job, on its machine."""

    name: str  # name in messages, such as '3/8'
    command: tuple[str, ...]
    when_again: tuple[str, ...] = ()  # options to add when the command resumes

    def again(self) -> "Task":
        """Return the task to submit after a stop or a kill."""
        return replace(self, command=(*self.command, *self.when_again), when_again=())

    def __call__(self) -> TaskExit:
        """Run the command until it ends, and copy its output to the logs of the job."""
        last_line = ""
        # A file and a pipe, not two pipes, of which one could fill up while the other is read.
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output,
            subprocess.Popen(
                self.command, stdout=output, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
            ) as child,
            _signals_forwarded(child),
        ):
            for line in child.stderr or ():
                print(line, end="", file=sys.stderr, flush=True)
                last_line = line.strip() or last_line
            status = child.wait()
            output.seek(0)
            text = output.read()
        print(text, end="", flush=True)
        return TaskExit(status, last_line, text)


@contextmanager
def _signals_forwarded(child: "subprocess.Popen[str]") -> Iterator[None]:
    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(_FORWARDED[signal.Signals(number)])

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
