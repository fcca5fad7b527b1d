"""Jobs of a launch: submit tasks, watch them, resubmit stopped or killed ones, cancel all if one fails."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asrkd.cli.launching.scheduler import CANCELLED, Scheduler
from asrkd.cli.launching.task import Task, TaskExit
from asrkd.core.errors import AsrkdError, QuarantineError, StoppedInTime
from asrkd.core.progress import Meter, meter
from asrkd.core.stopping import StopRequest, stopped

if TYPE_CHECKING:
    from submitit import Job

MAX_SUBMISSIONS = 10  # per task
_ERRORS: dict[int, type[AsrkdError]] = {1: AsrkdError, 3: QuarantineError}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _SLICE_S = 0.5, 15.0, 0.1


class Jobs:
    """Jobs of one launch: running jobs with their tasks, and the number of submissions of each task."""

    def __init__(self, scheduler: Scheduler, stop: StopRequest) -> None:
        """Create an empty set of jobs; :meth:`run` cancels running jobs before it raises."""
        self._scheduler, self._stop = scheduler, stop
        self._running: dict[str, tuple[Job[TaskExit], Task]] = {}
        self._submissions: Counter[Task] = Counter()
        self._without_result: set[str] = set()

    def run(self, tasks: Sequence[Task]) -> list[TaskExit]:
        """Run every task until it succeeds.

        Returns:
            The exit of each task, in the order of ``tasks``.

        Raises:
            AsrkdError: a task failed, with its message and exit status.
            StoppedInTime: a stop was requested, a job was canceled, or a task
                stopped in time in its last submission.
        """
        ended: dict[Task, TaskExit] = {}
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
        return [ended[task] for task in tasks]

    def _submit(self, tasks: Sequence[Task], progress: Meter) -> None:
        if not tasks:
            return
        submitted = [task.again() if self._submissions[task] else task for task in tasks]
        for job, task in zip(self._scheduler.submit(submitted), tasks, strict=True):
            self._running[job.job_id] = job, task
            self._submissions[task] += 1
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
        log = f"its log: {job.paths.stderr}"
        if result is not None and result.status > 0 and result.status != StoppedInTime.exit_status:
            error, words = _ERRORS.get(result.status, AsrkdError), result.last_line
            if result.status in _ERRORS and words.startswith("asrkd: "):
                raise error(words.removeprefix("asrkd: "))
            raise error(f"job {task.name} ended with exit status {result.status}: {words}; {log}")
        if state == CANCELLED:
            raise stopped("scancel", f"job {task.name} was canceled")
        if self._submissions[task] >= MAX_SUBMISSIONS:
            if result is not None and result.status > 0:
                raise StoppedInTime(
                    f"job {task.name} was stopped in time {MAX_SUBMISSIONS} times; "
                    f"run the same command to continue; {log}"
                )
            raise AsrkdError(
                f"job {task.name} was killed {MAX_SUBMISSIONS} times (out of memory or time?); "
                f"finished shards are kept; give it more (--slurm mem=16G, --time-limit); {log}"
            )

    def _cancel(self) -> None:
        self._scheduler.cancel([job for job, _ in self._running.values()])

    def _saved(self) -> str:
        return f"{len(self._running)} jobs are canceled, finished shards are kept"


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
