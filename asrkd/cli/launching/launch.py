"""Launch of a command as jobs: its shards in parallel, then the command that finishes the folder.

The jobs of an array run the same command with ``--shard K/N`` and write into
the shared output folder. The command without ``--shard`` then has nothing left
to compute, and finishes the folder. A command without shards is one job.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asrkd.cli.launching.jobs import Jobs
from asrkd.cli.launching.scheduler import Local, Scheduler, Slurm, Wanted
from asrkd.cli.launching.task import Task, TaskExit
from asrkd.core import output_folder
from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import check_jobs
from asrkd.core.stopping import StopRequest

# Options of the launching command that its jobs lack, or have with other values.
_LAUNCH_OPTIONS = frozenset({"--launcher", "--partition", "--gpus", "--slurm", "--jobs", "--time-limit"})


def job_arguments(arguments: Sequence[str], *more: str) -> list[str]:
    """Return the arguments of a job's command, after ``asrkd``.

    Args:
        arguments: arguments of the launching command, such as ``sys.argv[1:]``.
        more: options to add.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [*_without_launch_options(arguments[:end]), *more, *arguments[end:]]


def _without_launch_options(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument in _LAUNCH_OPTIONS:
            next(rest, None)  # its value
        elif argument.partition("=")[0] not in _LAUNCH_OPTIONS:
            yield argument


LAUNCHERS = ("slurm", "local")
RECORD = "launch.json"
RUNNING = "jobs.json"  # ids of the jobs, while they run
PROGRAM = (sys.executable, "-m", "asrkd")


@dataclass(frozen=True)
class Launch:
    """Command to run as jobs."""

    arguments: Sequence[str]  # typed arguments, after the program
    launcher: str  # launcher, one of LAUNCHERS
    out: Path  # output folder of the command; logs go beside it
    wanted: Wanted = Wanted()
    program: Sequence[str] = PROGRAM

    def __post_init__(self) -> None:
        """Raise AsrkdError if there is no such launcher."""
        if self.launcher not in LAUNCHERS:
            raise AsrkdError(f"--launcher {self.launcher}: expected {' or '.join(LAUNCHERS)}")

    def run_parts(self, count: int, stop: StopRequest) -> None:
        """Run the command in ``count`` jobs, one per shard.

        Raises:
            AsrkdError: jobs cannot be submitted, or one failed.
            StoppedInTime: a stop was requested; run the same command to continue.
        """
        check_jobs(count)
        parts = [f"{number}/{count}" for number in range(1, count + 1)]
        self._run([self._task(part, "--shard", part, "--jobs", "1") for part in parts], stop)

    def run_whole(self, stop: StopRequest, when_again: Sequence[str] = ()) -> str:
        """Run the command as one job.

        Args:
            stop: request to stop.
            when_again: options that the command needs to resume.

        Returns:
            The stdout of the command.

        Raises:
            AsrkdError: the job cannot be submitted, or failed.
            StoppedInTime: a stop was requested; run the same command to continue.
        """
        (ended,) = self._run([replace(self._task("1/1"), when_again=tuple(when_again))], stop)
        return ended.output

    def _run(self, tasks: Sequence[Task], stop: StopRequest) -> list[TaskExit]:
        return Jobs(self._scheduler(), stop, self._logs / RUNNING).run(tasks)

    @property
    def _logs(self) -> Path:
        return self.out.with_name(self.out.name + "-logs")

    def _task(self, name: str, *more: str) -> Task:
        limit_s = self.wanted.time_limit_s
        limit = [] if limit_s is None else ["--time-limit", f"{limit_s - self.wanted.notice_s():.3f}"]
        return Task(name, (*self.program, *job_arguments(self.arguments, *more, *limit)))

    def _scheduler(self) -> Scheduler:
        logs, name = self._logs, f"asrkd-{self.out.name}"
        scheduler = Slurm(logs, name, self.wanted) if self.launcher == "slurm" else Local(logs, self.wanted)
        output_folder.claim(logs, RECORD, {"logs_of": self.out.name})
        return scheduler
