"""Where a process of a run stands, by its environment, and which GPU is its own."""

import os
import subprocess

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.training.distributed import Processes
from asrkd.training.environment import joined

SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_LAUNCH_NODE_IPADDR", "SLURM_JOB_ID")
PLACE = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def _no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PLACE, *SLURM):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("size", [None, "1"])
def test_a_process_that_is_told_of_no_others_is_alone(monkeypatch, size):
    if size:
        monkeypatch.setenv("WORLD_SIZE", size)
    with joined() as processes:
        assert processes == Processes(rank=0, count=1)
        assert processes.exchange("x") == ["x"]
        assert processes.first(lambda: 3) == 3
        assert list(processes.share(range(5))) == [0, 1, 2, 3, 4]
        module = torch.nn.Linear(2, 2)
        assert processes.distribute(module) is module


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"WORLD_SIZE": "2"}, "no RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT: start with: torchrun"),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "x", "MASTER_PORT": "1"}, "no LOCAL_RANK"),
        ({"WORLD_SIZE": "two"}, "expected numbers"),
        (dict.fromkeys(PLACE, "x") | {"WORLD_SIZE": "2"}, "expected numbers"),
        (
            {"SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "7", "SLURM_PROCID": "1"},
            "no LOCAL_RANK, MASTER_ADDR:",
        ),
    ],
)
def test_half_a_place_is_a_line_that_says_how_to_start(monkeypatch, environment, complaint):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AsrkdError, match=complaint), joined():
        pass


def test_a_batch_script_of_several_tasks_is_not_a_task(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}.items():
        monkeypatch.setenv(name, value)
    with joined() as processes:
        assert processes.count == 1


def test_commands_typed_into_a_tasks_shell_are_not_tasks(monkeypatch):
    for name, value in {"SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 0)
    task = subprocess.Popen(["sleep", "60"], start_new_session=True)  # its process group is another
    try:
        monkeypatch.setenv("SLURM_TASK_PID", str(task.pid))
        with joined() as processes:
            assert processes.count == 1
    finally:
        task.kill()
        task.wait()
    for pid in (os.getpid(), task.pid):  # the task itself; one of another machine or container
        monkeypatch.setenv("SLURM_TASK_PID", str(pid))
        with pytest.raises(AsrkdError, match="WORLD_SIZE=2, but no LOCAL_RANK, MASTER_ADDR"), joined():
            pass


def test_a_share_of_all_batches_is_a_share_of_each_update():
    batches, accumulate = list(range(14)), 4
    for count in (2, 4):
        of_all = [list(Processes(rank, count).share(batches)) for rank in range(count)]
        for begin in range(0, len(batches), accumulate):
            update = batches[begin : begin + accumulate]
            for rank in range(count):
                mine = list(Processes(rank, count).share(update))
                assert mine == [batch for batch in of_all[rank] if batch in update]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_shares_that_come_out_even_are_allowed(count):
    Processes(0, count).check_shares(6, "max_duration", 60.0)


@pytest.mark.parametrize(
    ("count", "accumulate", "even", "seconds"), [(2, 1, 2, "30"), (4, 6, 8, "45"), (8, 1, 8, "7.5")]
)
def test_uneven_shares_are_refused_with_even_settings(count, accumulate, even, seconds):
    wanted = f"--set optim.accumulate={even} --set data.max_duration={seconds}$"
    with pytest.raises(AsrkdError, match=wanted):
        Processes(0, count).check_shares(accumulate, "max_duration", 60.0)
    assert even * float(seconds) == accumulate * 60.0


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Pretends that there are so many GPUs."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)

    return pretend


def test_each_process_has_its_local_ranks_or_only_visible_gpu(gpus):
    gpus(4)
    assert Processes(7, 8, local_rank=3).device("auto") == torch.device("cuda", 3)
    assert Processes(7, 8, local_rank=3).device("cpu") == torch.device("cpu")
    gpus(1)
    assert Processes(7, 8, local_rank=3).device("cuda") == torch.device("cuda", 0)


def test_too_few_gpus_for_the_processes_are_refused(gpus):
    gpus(2)
    with pytest.raises(AsrkdError, match="2 processes need a GPU each; use --device cuda$"):
        Processes(0, 2).device("cuda:1")
    with pytest.raises(AsrkdError, match="LOCAL_RANK=2: expected below 2, the number of GPUs"):
        Processes(2, 3, local_rank=2).device("auto")
