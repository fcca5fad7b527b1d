"""Seeing tasks through: submit, watch, submit again what was stopped or killed, cancel if one fails."""

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

MAX_SUBMISSIONS = 10  # of one task
_MISTAKES: dict[int, type[AsrkdError]] = {1: AsrkdError, 3: QuarantineError}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _SLICE_S = 0.5, 15.0, 0.1


class Jobs:
    """The jobs of one launch: what runs, for which task, and how often each was submitted."""

    def __init__(self, scheduler: Scheduler, stop: StopRequest) -> None:
        """``stop`` is asked while waiting; what runs is cancelled before the error leaves :meth:`run`."""
        self._scheduler, self._stop = scheduler, stop
        self._running: dict[str, tuple[Job[TaskExit], Task]] = {}
        self._submissions: Counter[Task] = Counter()
        self._without_result: set[str] = set()

    def run(self, tasks: Sequence[Task]) -> list[TaskExit]:
        """Run every task to its good end; how each ended, in the order of ``tasks``.

        Raises:
            AsrkdError: a task failed, with its message and exit status.
            StoppedInTime: asked to stop, a job was cancelled, or a task was
                stopped in time for the last time that it is submitted.
        """
        ended: dict[Task, TaskExit] = {}
        try:
            with meter("launched", len(tasks), "jobs") as shown:
                self._submit(tasks, shown)
                pause_s = _FIRST_PAUSE_S
                while self._running:
                    self._wait(pause_s)
                    pause_s = min(1.3 * pause_s, _LONGEST_PAUSE_S)
                    self._gather(ended, shown)
        except KeyboardInterrupt:
            self._cancel()
            raise stopped("SIGINT", self._saved()) from None
        except BaseException:
            self._cancel()
            raise
        return [ended[task] for task in tasks]

    def _submit(self, tasks: Sequence[Task], shown: Meter) -> None:
        if not tasks:
            return
        submitted = [task.again() if self._submissions[task] else task for task in tasks]
        for job, task in zip(self._scheduler.submit(submitted), tasks, strict=True):
            self._running[job.job_id] = job, task
            self._submissions[task] += 1
        again = sum(self._submissions.values()) - shown.total
        shown.advance(0, note=f"{again} submitted again" if again else "")

    def _wait(self, pause_s: float) -> None:
        """Sleep in slices, because a signal does not cut a sleep short."""
        until = time.monotonic() + pause_s
        self._stop.check(self._saved())
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(_SLICE_S, left_s))
            self._stop.check(self._saved())

    def _gather(self, ended: dict[Task, TaskExit], shown: Meter) -> None:
        """Take what is over out of the running ones: done, to be submitted again, or an error."""
        again = []
        for job_id, state in self._scheduler.over([job for job, _ in self._running.values()]).items():
            job, task = self._running[job_id]
            if not job.paths.result_pickle.exists() and job_id not in self._without_result:
                self._without_result.add(job_id)  # a shared disk may show the result a little later
                continue
            del self._running[job_id]
            found = _result(job)
            if found is not None and found.status == 0:
                ended[task] = found
                shown.advance(1)
            else:
                self._check_submitted_again(job, task, state, found)
                again.append(task)
        self._submit(again, shown)

    def _check_submitted_again(
        self, job: "Job[TaskExit]", task: Task, state: str, found: TaskExit | None
    ) -> None:
        """Raise unless ``task``, which did not end well, is to be submitted once more."""
        log = f"its log: {job.paths.stderr}"
        if found is not None and found.status > 0 and found.status != StoppedInTime.exit_status:
            error, words = _MISTAKES.get(found.status, AsrkdError), found.last_words
            if found.status in _MISTAKES and words.startswith("asrkd: "):
                raise error(words.removeprefix("asrkd: "))
            raise error(f"job {task.name} ended with exit status {found.status}: {words}; {log}")
        if state == CANCELLED:
            raise stopped("scancel", f"job {task.name} was cancelled")
        if self._submissions[task] >= MAX_SUBMISSIONS:
            if found is not None and found.status > 0:
                raise StoppedInTime(
                    f"job {task.name} was stopped in time {MAX_SUBMISSIONS} times; "
                    f"run the same command to go on; {log}"
                )
            raise AsrkdError(
                f"job {task.name} was killed {MAX_SUBMISSIONS} times (out of memory or time?); "
                f"what is finished is kept; give it more (--slurm mem=16G, --time-limit); {log}"
            )

    def _cancel(self) -> None:
        self._scheduler.cancel([job for job, _ in self._running.values()])

    def _saved(self) -> str:
        return f"{len(self._running)} jobs are cancelled, what is finished is kept"


def _result(job: "Job[TaskExit]") -> TaskExit | None:
    """How the job's command ended; None if the job was killed before it could say."""
    if not job.paths.result_pickle.exists():
        return None
    try:
        ended: TaskExit = job.result()
    except RuntimeError as error:  # the task itself raised: there was nothing to run, or no room
        said = str(error).strip().splitlines()
        trace = [line for line in said if line and not line.startswith(("-", " ", "You can"))]
        return TaskExit(1, trace[-1] if trace else "it raised an error", "")
    return ended
