"""Jobs of a launch: submit tasks, watch them, resubmit stopped or killed ones, cancel all if one fails."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrkd.cli.launching.scheduler import CANCELLED, Scheduler
from asrkd.cli.launching.task import Task, TaskExit
from asrkd.core import files
from asrkd.core.errors import AsrkdError, QuarantineError, StoppedInTime, counted
from asrkd.core.progress import Meter, meter
from asrkd.core.stopping import StopRequest, stopped

if TYPE_CHECKING:
    from submitit import Job

MAX_SUBMISSIONS = 10  # per task
MAX_QUICK_KILLS = 2  # in a row, of a task
_NOT_ITS_FAULT = ("PREEMPTED", "NODE_FAIL", "TIMEOUT")
_ERRORS: dict[int, type[AsrkdError]] = {1: AsrkdError, 3: QuarantineError}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _SLICE_S = 0.5, 15.0, 0.1
_QUICK_S = 60.0  # from submission to the end, for a job that was killed at once


class Jobs:
    """Jobs of one launch: running jobs with their tasks, and the number of submissions of each task."""

    def __init__(self, scheduler: Scheduler, stop: StopRequest, record: Path | None = None) -> None:
        """Create an empty set of jobs; :meth:`run` cancels running jobs before it raises.

        Args:
            scheduler: scheduler of the jobs.
            stop: request to stop.
            record: file for the ids of the jobs while they run, by which the next launch
                notices jobs that outlive a killed one.
        """
        self._scheduler, self._stop, self._record = scheduler, stop, record
        self._running: dict[str, tuple[Job[TaskExit], Task]] = {}
        self._submissions: Counter[Task] = Counter()
        self._submitted_at: dict[str, float] = {}  # by job id
        self._quick_kills: Counter[Task] = Counter()  # in a row
        self._without_result: set[str] = set()

    def run(self, tasks: Sequence[Task]) -> list[TaskExit]:
        """Run every task until it succeeds.

        Returns:
            The exit of each task, in the order of ``tasks``.

        Raises:
            AsrkdError: a task failed, with its message and exit status; or jobs of an
                earlier launch of the command still run.
            StoppedInTime: a stop was requested, a job was canceled, or a task
                stopped in time in its last submission.
        """
        ended: dict[Task, TaskExit] = {}
        self._check_earlier()
        try:
            with meter("launched", len(tasks), "jobs") as progress:
                self._submit(tasks, progress)
                pause_s = _FIRST_PAUSE_S
                while self._running:
                    self._wait(pause_s)
                    pause_s = min(1.3 * pause_s, _LONGEST_PAUSE_S)
                    self._gather(ended, progress)
        except KeyboardInterrupt:
            self._cancel()
            raise stopped("SIGINT", self._saved()) from None
        except BaseException:
            self._cancel()
            raise
        self._forget()
        return [ended[task] for task in tasks]

    def _check_earlier(self) -> None:
        """Raise AsrkdError if jobs of an earlier launch, which was killed, still run."""
        if self._record is None or not self._record.is_file():
            return
        stored = files.read_json(self._record)
        of_scheduler = isinstance(stored, dict) and stored.get("scheduler") == self._kind
        job_ids = stored.get("jobs", []) if of_scheduler else []
        if running := self._scheduler.not_over(job_ids):
            num_jobs, cancel = counted(len(running), "job"), self._scheduler.cancel_command(running)
            raise AsrkdError(
                f"{self._record.parent}: {num_jobs} of an earlier launch not over; wait until all have "
                f"ended, or cancel them: {cancel}"
            )

    @property
    def _kind(self) -> str:
        return type(self._scheduler).__name__.lower()

    def _remember(self) -> None:
        if self._record is not None:
            files.write_json(self._record, {"scheduler": self._kind, "jobs": list(self._running)})

    def _forget(self) -> None:
        if self._record is not None:
            self._record.unlink(missing_ok=True)

    def _submit(self, tasks: Sequence[Task], progress: Meter) -> None:
        if not tasks:
            return
        submitted = [task.again() if self._submissions[task] else task for task in tasks]
        for job, task in zip(self._scheduler.submit(submitted), tasks, strict=True):
            self._running[job.job_id] = job, task
            self._submissions[task] += 1
            self._submitted_at[job.job_id] = time.monotonic()
        self._remember()
        again = sum(self._submissions.values()) - progress.total
        progress.advance(0, note=f"{again} submitted again" if again else "")

    def _wait(self, pause_s: float) -> None:
        """Sleep in slices, because a signal does not interrupt a sleep."""
        until = time.monotonic() + pause_s
        self._stop.check(self._saved())
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(_SLICE_S, left_s))
            self._stop.check(self._saved())

    def _gather(self, ended: dict[Task, TaskExit], progress: Meter) -> None:
        """Remove ended jobs from the running ones: record success, resubmit, or raise."""
        again = []
        for job_id, state in self._scheduler.over([job for job, _ in self._running.values()]).items():
            job, task = self._running[job_id]
            if not job.paths.result_pickle.exists() and job_id not in self._without_result:
                self._without_result.add(job_id)  # a shared file system may show the result later
                continue
            del self._running[job_id]
            result = _result(job)
            if result is not None and result.status == 0:
                ended[task] = result
                progress.advance(1)
            else:
                self._check_submitted_again(job, task, state, result)
                again.append(task)
        self._submit(again, progress)

    def _check_submitted_again(
        self, job: "Job[TaskExit]", task: Task, state: str, result: TaskExit | None
    ) -> None:
        """Raise unless ``task``, which failed or was killed, is to be submitted again."""
        log = f"; its log: {job.paths.stderr}" if Path(job.paths.stderr).is_file() else ""
        if result is not None and result.status > 0 and result.status != StoppedInTime.exit_status:
            error, words = _ERRORS.get(result.status, AsrkdError), result.last_line
            if result.status in _ERRORS and words.startswith("asrkd: "):
                raise error(words.removeprefix("asrkd: "))
            raise error(f"job {task.name} ended with exit status {result.status}: {words}{log}")
        if state == CANCELLED:
            raise stopped("scancel", f"job {task.name} was canceled")
        lasted_s = time.monotonic() - self._submitted_at[job.job_id]
        quick = result is None and state not in _NOT_ITS_FAULT and lasted_s < _QUICK_S
        self._quick_kills[task] = self._quick_kills[task] + 1 if quick else 0
        if self._quick_kills[task] >= MAX_QUICK_KILLS:
            raise AsrkdError(
                f"job {task.name} ended without a result within {_QUICK_S:g} s, {MAX_QUICK_KILLS} times in a "
                "row: it was killed (out of memory?) or cannot start; finished shards are kept; give it more "
                f"(--slurm mem=16G), or see what the scheduler reports{log}"
            )
        if self._submissions[task] >= MAX_SUBMISSIONS:
            if result is not None and result.status > 0:
                raise StoppedInTime(
                    f"job {task.name} was stopped in time {MAX_SUBMISSIONS} times; "
                    f"run the same command to continue{log}"
                )
            raise AsrkdError(
                f"job {task.name} was killed {MAX_SUBMISSIONS} times (out of memory or time?); "
                f"finished shards are kept; give it more (--slurm mem=16G, --time-limit){log}"
            )

    def _cancel(self) -> None:
        self._scheduler.cancel([job for job, _ in self._running.values()])
        self._forget()

    def _saved(self) -> str:
        num_running = len(self._running)
        verb = "is" if num_running == 1 else "are"
        return f"{counted(num_running, 'job')} {verb} canceled, finished shards are kept"


def _result(job: "Job[TaskExit]") -> TaskExit | None:
    """Return the exit of the job's command; None if the job was killed before it ended."""
    if not job.paths.result_pickle.exists():
        return None
    try:
        ended: TaskExit = job.result()
    except RuntimeError as error:  # of the task itself: no program, no space
        lines = str(error).strip().splitlines()
        trace = [line for line in lines if line and not line.startswith(("-", " ", "You can"))]
        return TaskExit(1, trace[-1] if trace else "it raised an error", "")
    return ended
