"""What a job does where it runs: the command as a child, told of every signal; how it ended, reported."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

# What the command is sent instead of what the job was: it listens to these two.
_PASSED_ON = {
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGTERM,
    signal.SIGUSR1: signal.SIGUSR1,
    signal.SIGUSR2: signal.SIGUSR1,
}


@dataclass(frozen=True)
class TaskExit:
    """How a command ended."""

    status: int  # of exit; minus the signal's number if one killed it
    last_words: str  # the last line on its stderr
    output: str  # all of its stdout, a few lines by the manner of asrkd's commands


@dataclass(frozen=True)
class Task:
    """A command to be run as a job; called by the job, on whatever machine that is."""

    name: str  # in messages, such as '3/8'
    command: tuple[str, ...]
    when_again: tuple[str, ...] = ()  # what the command has to be told beside, when it has run before

    def again(self) -> "Task":
        """What to submit when it was stopped or killed."""
        return replace(self, command=(*self.command, *self.when_again), when_again=())

    def __call__(self) -> TaskExit:
        """Run the command until it ends, passing its output to the job's own logs."""
        last_words = ""
        # A file and a pipe, not two pipes, of which one could fill up while the other is read.
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output,
            subprocess.Popen(
                self.command, stdout=output, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
            ) as child,
            _signals_passed_on(child),
        ):
            for line in child.stderr or ():
                print(line, end="", file=sys.stderr, flush=True)
                last_words = line.strip() or last_words
            status = child.wait()
            output.seek(0)
            said = output.read()
        print(said, end="", flush=True)
        return TaskExit(status, last_words, said)


@contextmanager
def _signals_passed_on(child: "subprocess.Popen[str]") -> Iterator[None]:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(_PASSED_ON[signal.Signals(number)])

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
