"""A command as jobs: parts of it side by side, then what finishes it.

The jobs of an array run the same command with ``--shard K/N`` and leave what
they make in the shared output folder; the command without ``--shard`` then
finds everything there and finishes it. A command that cannot be divided is
one job.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asrkd.cli.launching.jobs import Jobs
from asrkd.cli.launching.scheduler import Local, Scheduler, Slurm, Wanted
from asrkd.cli.launching.task import Task
from asrkd.core import output_folder
from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import check_jobs
from asrkd.core.stopping import StopRequest

# Options of the launching command that its jobs are not given, or are given with values of their own.
_OWN = frozenset({"--launcher", "--partition", "--gpus", "--slurm", "--jobs", "--time-limit"})


def job_arguments(arguments: Sequence[str], *more: str) -> list[str]:
    """What a job's command line is after ``asrkd``.

    Args:
        arguments: the launching command's own, such as ``sys.argv[1:]``.
        more: options to add.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [*_without_own(arguments[:end]), *more, *arguments[end:]]


def _without_own(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument in _OWN:
            next(rest, None)  # its value
        elif argument.partition("=")[0] not in _OWN:
            yield argument


LAUNCHERS = ("slurm", "local")
RECORD = "launch.json"
PROGRAM = (sys.executable, "-m", "asrkd")


@dataclass(frozen=True)
class Launch:
    """A command to be run as jobs."""

    arguments: Sequence[str]  # as the user gave them, after the program
    launcher: str  # one of LAUNCHERS
    out: Path  # the command's output folder; logs go beside it
    wanted: Wanted = Wanted()
    program: Sequence[str] = PROGRAM

    def run_parts(self, count: int, stop: StopRequest) -> None:
        """Run the command in ``count`` jobs, each a part of it.

        Raises:
            AsrkdError: nothing can be submitted, or a job failed.
            StoppedInTime: asked to stop; run the same command to go on.
        """
        check_jobs(count)
        parts = [f"{number}/{count}" for number in range(1, count + 1)]
        tasks = [self._task(part, "--shard", part, "--jobs", "1") for part in parts]
        Jobs(self._scheduler(), stop).run(tasks)

    def run_whole(self, stop: StopRequest, when_again: Sequence[str] = ()) -> str:
        """Run the command as one job; what it printed.

        Args:
            stop: asks to stop.
            when_again: options that the command wants when it was stopped or killed and goes on.

        Raises:
            AsrkdError: it cannot be submitted, or failed.
            StoppedInTime: asked to stop; run the same command to go on.
        """
        (ended,) = Jobs(self._scheduler(), stop).run(
            [replace(self._task("1/1"), when_again=tuple(when_again))]
        )
        return ended.output

    def _task(self, name: str, *more: str) -> Task:
        limit_s = self.wanted.time_limit_s
        limit = [] if limit_s is None else ["--time-limit", f"{limit_s - self.wanted.notice_s():.3f}"]
        return Task(name, (*self.program, *job_arguments(self.arguments, *more, *limit)))

    def _scheduler(self) -> Scheduler:
        if self.launcher not in LAUNCHERS:
            raise AsrkdError(f"--launcher {self.launcher}: expected {' or '.join(LAUNCHERS)}")
        logs = self.out.with_name(self.out.name + "-logs")
        name = f"asrkd-{self.out.name}"
        scheduler = Slurm(logs, name, self.wanted) if self.launcher == "slurm" else Local(logs, self.wanted)
        output_folder.claim(logs, RECORD, {"logs_of": self.out.name})
        return scheduler
