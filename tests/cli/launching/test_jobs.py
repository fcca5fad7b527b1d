"""Seeing tasks through, with a scheduler whose jobs end as the test says."""

import json
import types
from collections import deque
from pathlib import Path

import pytest

from asrkd.cli.launching import jobs as module
from asrkd.cli.launching.jobs import MAX_SUBMISSIONS, Jobs
from asrkd.cli.launching.scheduler import CANCELLED, GONE
from asrkd.cli.launching.task import Task, TaskExit
from asrkd.core.errors import AsrkdError, QuarantineError, StoppedInTime
from asrkd.core.stopping import StopRequest

GOOD, STOPPED = TaskExit(0, "", "out"), TaskExit(75, "asrkd: stopped by SIGUSR1", "")
KILLED, RUNS = None, "runs"


class Pretended:
    """A scheduler: each submission of a task ends as the next of its ends; RUNS for ever."""

    def __init__(self, folder: Path, **ends: "list[TaskExit | str | None]") -> None:
        self.folder, self.state = folder, GONE
        self.ends = {name: deque(its) for name, its in ends.items()}
        self.submitted: list[tuple[str, ...]] = []
        self.cancelled: list[str] = []

    def submit(self, tasks):
        made = []
        for task in tasks:
            job_id, end = str(len(self.submitted)), self.ends[task.name].popleft()
            self.submitted.append(task.command)
            paths = types.SimpleNamespace(
                result_pickle=self.folder / job_id, stderr=self.folder / f"{job_id}.err"
            )
            if isinstance(end, TaskExit):
                paths.result_pickle.touch()
            made.append(
                types.SimpleNamespace(job_id=job_id, paths=paths, end=end, result=lambda end=end: end)
            )
        return made

    def over(self, running):
        return {job.job_id: self.state for job in running if job.end != RUNS}

    def cancel(self, running):
        self.cancelled += [job.job_id for job in running]

    def not_over(self, job_ids):
        return [job_id for job_id in job_ids if job_id == "7"]

    def cancel_command(self, job_ids):
        return f"scancel {' '.join(job_ids)}"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.01)


def run(scheduler: Pretended, stop: StopRequest | None = None) -> list[TaskExit]:
    tasks = [Task(name, (name,), ("--resume",)) for name in scheduler.ends]
    return Jobs(scheduler, stop or StopRequest()).run(tasks)


def test_stopped_and_killed_jobs_are_resubmitted_until_done(tmp_path, capsys):
    scheduler = Pretended(
        tmp_path, a=[GOOD], b=[STOPPED, KILLED, STOPPED, GOOD], c=[TaskExit(-9, "", ""), GOOD]
    )
    assert run(scheduler) == [GOOD, GOOD, GOOD]
    assert sorted(scheduler.submitted) == [("a",), ("b",)] + 3 * [("b", "--resume")] + [
        ("c",),
        ("c", "--resume"),
    ]
    assert scheduler.cancelled == []
    assert capsys.readouterr().err.splitlines()[-1] == "launched: 3/3 jobs, 4 submitted again"


@pytest.mark.parametrize(("status", "error"), [(1, AsrkdError), (3, QuarantineError)])
def test_a_mistake_ends_all_with_its_line_and_its_exit_status(tmp_path, status, error):
    mistake = TaskExit(status, "asrkd: x.wav: what is wrong; what mends it", "")
    scheduler = Pretended(tmp_path, a=[RUNS], b=[mistake], c=[RUNS])
    with pytest.raises(error, match=r"^x\.wav: what is wrong; what mends it$") as raised:
        run(scheduler)
    assert raised.value.exit_status == status
    assert scheduler.cancelled == ["0", "2"]


@pytest.mark.parametrize(
    "end", [TaskExit(1, "ZeroDivisionError: division", ""), TaskExit(2, "No such option", "")]
)
def test_what_is_no_mistake_of_the_users_is_told_with_its_log(tmp_path, end):
    scheduler = Pretended(tmp_path, b=[end])
    (tmp_path / "0.err").touch()
    with pytest.raises(
        AsrkdError, match=rf"job b ended with exit status {end.status}: {end.last_line}; .*0.err"
    ):
        run(scheduler)


def test_ten_times_are_enough(tmp_path, monkeypatch):
    killed = Pretended(tmp_path, a=[KILLED] * 99, b=[RUNS])
    monkeypatch.setattr(module, "_QUICK_S", 0.0)  # all were slow
    with pytest.raises(AsrkdError, match="killed 10 times .*mem=") as raised:
        run(killed)
    assert raised.value.exit_status == 1
    assert len(killed.submitted) - 1 == MAX_SUBMISSIONS == 10
    assert killed.cancelled == ["1"]
    with pytest.raises(StoppedInTime, match="stopped in time 10 times; run the same command"):
        run(Pretended(tmp_path, c=[STOPPED] * 99))


def test_two_quick_ends_without_a_result_are_enough(tmp_path):
    """Of one task in a row; the log is named only where there is one."""
    scheduler = Pretended(tmp_path, a=[KILLED, STOPPED, KILLED, GOOD], b=[KILLED] * 99)
    with pytest.raises(
        AsrkdError, match="job b ended without a result within 60 s, 2 times in a row"
    ) as raised:
        run(scheduler)
    assert "its log" not in str(raised.value)
    (tmp_path / "1.err").touch()
    with pytest.raises(AsrkdError, match="see what the scheduler reports; its log: .*1.err"):
        run(Pretended(tmp_path, c=[KILLED] * 99))
    assert run(Pretended(tmp_path / "..", d=[KILLED, STOPPED, KILLED, GOOD])) == [GOOD]


def test_jobs_of_a_killed_launch_are_not_submitted_a_second_time(tmp_path):
    record = tmp_path / "jobs.json"
    tasks = [Task("a", ("a",))]
    scheduler = Pretended(tmp_path, a=[GOOD, GOOD])
    remembered = []
    scheduler.over = lambda running: (
        remembered.append(record.read_text()) or {job.job_id: GONE for job in running}
    )
    assert Jobs(scheduler, StopRequest(), record).run(tasks) == [GOOD]
    assert json.loads(remembered[0]) == {"scheduler": "pretended", "jobs": ["0"]}
    assert not record.exists()  # no job is left
    record.write_text('{"scheduler": "pretended", "jobs": ["6", "7"]}')
    with pytest.raises(AsrkdError, match="1 job of an earlier launch not over; .*: scancel 7$"):
        Jobs(scheduler, StopRequest(), record).run(tasks)
    assert (len(scheduler.submitted), scheduler.cancelled, record.exists()) == (1, [], True)
    record.write_text('{"scheduler": "other", "jobs": ["7"]}')
    assert Jobs(scheduler, StopRequest(), record).run(tasks) == [GOOD]


def test_a_request_to_stop_cancels_what_runs(tmp_path):
    scheduler = Pretended(tmp_path, a=[GOOD], b=[RUNS], c=[RUNS])
    with pytest.raises(StoppedInTime, match="time limit: 2 jobs are canceled"):
        run(scheduler, StopRequest(0.2))
    assert scheduler.cancelled == ["1", "2"]


def test_an_interrupt_from_the_keyboard_is_such_a_request(tmp_path, monkeypatch):
    scheduler = Pretended(tmp_path, a=[RUNS])

    def interrupt(running):
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler, "over", interrupt)
    with pytest.raises(StoppedInTime, match="SIGINT: 1 job is canceled"):
        run(scheduler)
    assert scheduler.cancelled == ["0"]


def test_a_job_that_somebody_cancels_is_not_submitted_again(tmp_path):
    scheduler = Pretended(tmp_path, a=[STOPPED], b=[RUNS])
    scheduler.state = CANCELLED
    with pytest.raises(StoppedInTime, match="job a was canceled"):
        run(scheduler)
    assert scheduler.cancelled == ["1"]


def test_a_result_that_a_shared_disk_shows_late_is_waited_for(tmp_path):
    """Missing at the first look, there at the second."""
    scheduler = Pretended(tmp_path, a=[KILLED])
    (plain,) = scheduler.submit([Task("a", ("a",))])
    plain.result = lambda: GOOD
    looked = []

    def over(running):
        looked.append(plain.paths.result_pickle.exists())
        if len(looked) == 2:
            plain.paths.result_pickle.touch()
        return {plain.job_id: GONE}

    scheduler.submit, scheduler.over = lambda tasks: [plain], over
    assert Jobs(scheduler, StopRequest()).run([Task("a", ("a",))]) == [GOOD]
    assert len(looked) == 2
