"""Tasks in one process or two: the same results, and a dead worker is a line."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
import safetensors.torch
import torch

from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import one_thread, run_tasks
from asrkd.core.task_monitor import TaskMonitor
from tests import forked
from tests.watching import Watch


def square(number: int, _monitor: TaskMonitor) -> int:
    return number * number


def threads(_: int, _monitor: TaskMonitor) -> int:
    return torch.get_num_threads()


def product(seed: int, _monitor: TaskMonitor) -> bytes:
    values = torch.randn(64, 64, generator=torch.Generator().manual_seed(seed))
    return (values @ values).sum(0).numpy().tobytes()


def die(number: int, _monitor: TaskMonitor) -> int:
    if number == 2:
        os._exit(9)
    return number


def complain(number: int, _monitor: TaskMonitor) -> int:
    if number == 1:
        raise AsrkdError("cut x: is bad")
    return number


def read_torn_tensors(number: int, _monitor: TaskMonitor) -> int:
    return len(safetensors.torch.load(bytes(20))) + number


def process(_: int, _monitor: TaskMonitor) -> int:
    return os.getpid()


def test_one_job_stays_in_this_process_and_in_order():
    assert list(run_tasks(square, [3, 1, 2], jobs=1, watch=Watch())) == [(3, 9), (1, 1), (2, 4)]
    assert list(run_tasks(process, [1, 2], jobs=1, watch=Watch())) == [(1, os.getpid()), (2, os.getpid())]


def test_no_task_needs_no_process():
    assert list(run_tasks(square, [], jobs=4, watch=Watch())) == []


def test_tasks_run_on_one_thread_and_restore_the_number():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert [result for _, result in run_tasks(threads, [0, 1], jobs=1, watch=Watch())] == [1, 1]
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_processes_are_refused_at_once(jobs):
    with pytest.raises(AsrkdError, match=rf"--jobs {jobs}: expected 1 or more"):
        next(run_tasks(square, [1], jobs=jobs, watch=Watch()))


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_a_task_raises_is_passed_on(jobs):
    with pytest.raises(AsrkdError, match="cut x: is bad"):
        list(run_tasks(complain, [0, 1, 2], jobs=jobs, watch=Watch()))


@pytest.mark.slow
def test_two_jobs_give_the_results_of_one():
    """Processes that import torch and lhotse take seconds to start, so all of it is in one test."""
    tasks = list(range(7))
    alone, together = (dict(run_tasks(product, tasks, jobs=jobs, watch=Watch())) for jobs in (1, 2))
    assert alone == together
    assert set(dict(run_tasks(threads, tasks, jobs=2, watch=Watch())).values()) == {1}
    assert os.getpid() not in dict(run_tasks(process, tasks, jobs=2, watch=Watch())).values()


@pytest.mark.slow
def test_a_worker_that_dies_is_a_line_and_not_a_traceback():
    with pytest.raises(AsrkdError, match="a worker process was killed .*again, with fewer --jobs"):
        list(run_tasks(die, [0, 1, 2, 3], jobs=2, watch=Watch()))


def work_until_stopped(number: int, monitor: TaskMonitor) -> int:
    while number and not monitor.must_stop():
        time.sleep(0.05)
    return os.getpid()


def test_an_idle_worker_that_is_killed_hinders_nobody():
    """It waits with the lock of the queue in its hands, so that nobody else can take anything from it."""
    tasks = run_tasks(work_until_stopped, [0, 1], jobs=2, watch=Watch())
    _, idle = next(tasks)
    time.sleep(1.0)
    os.kill(idle, signal.SIGKILL)
    with pytest.raises(AsrkdError, match="a worker process was killed"):
        next(tasks)


def test_workers_leave_a_ctrl_c_to_their_parent():
    """It reaches all processes of a terminal; one that waits for a task would end in a traceback."""
    watch = Watch()
    tasks = run_tasks(work_until_stopped, [0, 1], jobs=2, watch=watch)
    _, idle = next(tasks)
    time.sleep(1.0)
    os.kill(idle, signal.SIGINT)
    watch.stop_after = 0  # only now: on a busy machine a stop at once comes before the tasks are started
    assert len(list(tasks)) == 1


def note_and_sleep(folder: str, _monitor: TaskMonitor) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    code = (
        "import sys; from tests.core.test_parallel import *; "
        "list(run_tasks(note_and_sleep, sys.argv[1:], jobs=2, watch=Watch()))"
    )
    parent = forked.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(tmp_path)], cwd=Path(__file__).parents[2]
    )
    give_up_at = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.poll() is None
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    workers = [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_what_a_library_raises_in_a_worker_is_a_line():
    with pytest.raises(AsrkdError, match="safetensors failed: "):
        list(run_tasks(read_torn_tensors, [1, 2], jobs=2, watch=Watch()))
