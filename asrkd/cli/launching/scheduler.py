"""Schedulers of jobs: Slurm, or this machine; both through submitit, which keeps logs and results.

submitit reads job states from Slurm's accounting, which many clusters lack.
This module reads them from squeue, once for all jobs: it lists every job that
has not ended and, for some minutes, those that have.
"""

import math
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from asrkd.core import installed
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command

if TYPE_CHECKING:
    from submitit import Job

    from asrkd.cli.launching.task import Task, TaskExit

NOTICE_S = 120.0  # time from the stop signal to the kill, enough for a shard or a checkpoint
_NO_LIMIT_MIN = 60 * 24 * 366
_OURS = ("array", "output", "error")  # options of sbatch set by the launcher
_OVER = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED TIMEOUT".split()
)
# Options of sbatch without a value.
_FLAGS = frozenset(
    "contiguous exclusive get-user-env hold no-kill no-requeue overcommit oversubscribe reboot requeue "
    "spread-job use-min-nodes".split()
)
CANCELLED = "CANCELLED"
GONE = "GONE"  # no longer known to the scheduler


@dataclass(frozen=True)
class Wanted:
    """Resources that each job requests."""

    time_limit_s: float | None = None
    gpus: int = 0
    partition: str | None = None
    settings: tuple[str, ...] = ()  # KEY=VALUE, options of sbatch; KEY for its flags

    def notice_s(self) -> float:
        """Seconds before the end at which a job gets the stop signal; less than all of a short job."""
        return NOTICE_S if self.time_limit_s is None else min(NOTICE_S, self.time_limit_s / 4)

    def for_slurm(self) -> dict[str, Any]:
        """Return the keyword arguments of submitit's Slurm executor.

        Raises:
            AsrkdError: a setting has no key or no value, or a key that the launcher sets.
        """
        return {
            "time": None if self.time_limit_s is None else max(1, math.ceil(self.time_limit_s / 60)),
            "partition": self.partition,
            "gpus_per_node": self.gpus or None,
            "wckey": None,
            # srun does not inherit --cpus-per-task from sbatch.
            "setup": ['export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"'],
            "additional_parameters": self._options(),
        }

    def _options(self) -> dict[str, str | bool]:
        options: dict[str, str | bool] = {"requeue": True, "signal": f"USR1@{max(1, int(self.notice_s()))}"}
        for setting in self.settings:
            key, equals, value = setting.partition("=")
            key = key.strip().lstrip("-").replace("_", "-")
            if not key or key in _OURS:
                raise AsrkdError(
                    f"--slurm {setting}: expected KEY=VALUE, a key of sbatch, not {', '.join(_OURS)}"
                )
            if not value and key not in _FLAGS:
                raise AsrkdError(f"--slurm {setting}: expected KEY=VALUE, such as --slurm mem=16G")
            options[key] = value if equals else True
        return options


class Scheduler(Protocol):
    """Scheduler that submits jobs, reports which have ended, and cancels them."""

    def submit(self, tasks: Sequence["Task"]) -> "list[Job[TaskExit]]":
        """Submit a job for each task, in order; AsrkdError if they are refused."""

    def over(self, jobs: "Sequence[Job[TaskExit]]") -> dict[str, str]:
        """Return the final states of the ``jobs`` that have ended, by job id."""

    def cancel(self, jobs: "Sequence[Job[TaskExit]]") -> None:
        """Cancel ``jobs`` that have not ended."""

    def not_over(self, job_ids: Sequence[str]) -> list[str]:
        """Return those jobs of an earlier launch that have not ended, by their ids."""

    def cancel_command(self, job_ids: Sequence[str]) -> str:
        """Return the command by which a user cancels jobs."""


class Slurm:
    """Slurm cluster that sbatch submits to from this machine."""

    def __init__(self, logs: Path, name: str, wanted: Wanted) -> None:
        """Check that jobs can be submitted from this machine.

        Raises:
            AsrkdError: submitit or sbatch is missing, or ``--slurm`` is wrong.
        """
        submitit = _submitit()
        if missing := [p for p in ("sbatch", "squeue", "scancel", "srun") if not shutil.which(p)]:
            raise AsrkdError(
                f"--launcher slurm: {missing[0]} is missing; run on a machine that submits to the cluster, "
                "install Slurm's commands (sudo apt install slurm-client), or use --launcher local"
            )
        self._executor = submitit.SlurmExecutor(folder=logs)
        self._executor.update_parameters(job_name=name, **wanted.for_slurm())
        self._refused = submitit.core.utils.FailedJobError

    def submit(self, tasks: Sequence["Task"]) -> "list[Job[TaskExit]]":
        """Submit an array, or a single job for a single task; AsrkdError if sbatch refuses it."""
        try:
            jobs: list[Job[TaskExit]] = self._executor.submit_array(tasks)
        except self._refused as error:
            lines = str(error).strip().splitlines() or ["sbatch failed"]
            raise AsrkdError(f"{lines[-1]}; see --partition, --gpus, --time-limit and --slurm") from None
        return jobs

    def over(self, jobs: "Sequence[Job[TaskExit]]") -> dict[str, str]:
        """Read job states from squeue; nothing while it does not answer."""
        return self._over([job.job_id for job in jobs])

    def _over(self, job_ids: Sequence[str]) -> dict[str, str]:
        arrays = sorted({job_id.partition("_")[0] for job_id in job_ids})
        query = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T"]
        done = subprocess.run(
            [*query, f"--jobs={','.join(arrays)}"], capture_output=True, text=True, check=False
        )
        if done.returncode and "Invalid job id" not in done.stderr:
            return {}
        listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line)
        states = {job_id: listed.get(job_id, GONE) for job_id in job_ids}
        return {job_id: state for job_id, state in states.items() if state in _OVER or state == GONE}

    def cancel(self, jobs: "Sequence[Job[TaskExit]]") -> None:
        """Cancel all jobs with one scancel."""
        if jobs:
            subprocess.run(["scancel", *(job.job_id for job in jobs)], capture_output=True, check=False)

    def not_over(self, job_ids: Sequence[str]) -> list[str]:
        """Ask squeue; all jobs while it does not answer."""
        over = self._over(job_ids) if job_ids else {}
        return [job_id for job_id in job_ids if job_id not in over]

    def cancel_command(self, job_ids: Sequence[str]) -> str:
        """Return a scancel of whole arrays."""
        return command("scancel", *dict.fromkeys(job_id.partition("_")[0] for job_id in job_ids))


class Local:
    """This machine, which runs all jobs at once; for trials before a launch on a cluster."""

    def __init__(self, logs: Path, wanted: Wanted) -> None:
        """Check that submitit is installed, and that no option is for Slurm only; AsrkdError if not."""
        if wanted.partition or wanted.settings:
            raise AsrkdError("--partition, --slurm: no effect with --launcher local; remove them")
        self._executor = _submitit().LocalExecutor(folder=logs)
        self._executor.update_parameters(timeout_min=_NO_LIMIT_MIN, gpus_per_node=wanted.gpus)

    def submit(self, tasks: Sequence["Task"]) -> "list[Job[TaskExit]]":
        """Start a process for each task."""
        jobs: list[Job[TaskExit]] = self._executor.submit_array(tasks)
        return jobs

    def over(self, jobs: "Sequence[Job[TaskExit]]") -> dict[str, str]:
        """Return the jobs whose processes have ended."""
        return {job.job_id: GONE for job in jobs if job.done()}

    def cancel(self, jobs: "Sequence[Job[TaskExit]]") -> None:
        """Send SIGTERM to the jobs, and wait until they have ended."""
        for job in jobs:
            if not job.done():
                os.kill(int(job.job_id), signal.SIGTERM)
        for job in jobs:
            job.wait()

    def not_over(self, job_ids: Sequence[str]) -> list[str]:
        """Return the process ids of jobs; a process that is no job has got the id of one that ended."""
        return [job_id for job_id in job_ids if _is_job(job_id)]

    def cancel_command(self, job_ids: Sequence[str]) -> str:
        """Return a kill, with SIGTERM."""
        return command("kill", *job_ids)


def _is_job(process_id: str) -> bool:
    """Whether a process of this machine is a job of submitit."""
    try:
        return b"submitit" in Path("/proc", process_id, "cmdline").read_bytes()
    except OSError:
        return False


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise AsrkdError(
            f"--launcher: needs submitit; install it with: {installed.pip_install('submitit')}"
        ) from None
    return submitit
