"""Slurm through pretended commands of its own, and this machine through real processes."""

import os
import sys
import types
from pathlib import Path

import pytest

from asrkd.cli.launching.launch import Launch
from asrkd.cli.launching.scheduler import GONE, Local, Slurm, Wanted
from asrkd.cli.launching.task import Task
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest

# A command that writes its part, once it has been stopped and once killed, which it remembers in files.
STAND_IN = """
import os, sys
from pathlib import Path
out, part = Path(sys.argv[sys.argv.index("--out") + 1]), sys.argv[sys.argv.index("--shard") + 1]
number = int(part.split("/")[0])
out.mkdir(exist_ok=True)
for times, end in enumerate((lambda: sys.exit(75), lambda: os.kill(os.getpid(), 9))):
    mark = out / f"tried-{number}-{times}"
    if number == 2 and not mark.exists():
        mark.touch()
        end()
(out / f"part-{number}").write_text(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Makes programs on a PATH of their own; Slurm's are there from the start and do nothing."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")

    def program(name: str, body: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    for name in ("sbatch", "squeue", "scancel", "srun"):
        program(name, "true")
    return program


def jobs(*ids: str) -> list[types.SimpleNamespace]:
    return [types.SimpleNamespace(job_id=job_id) for job_id in ids]


def submission(folder: Path, wanted: Wanted, commands) -> list[str]:
    """The options in the script that sbatch is given for two tasks."""
    commands("sbatch", f'cp "$1" {folder}/script; echo Submitted batch job 7')
    submitted = Slurm(folder / "logs", "asrkd-x", wanted).submit([Task("1/2", ("a",)), Task("2/2", ("b",))])
    assert [job.job_id for job in submitted] == ["7_0", "7_1"]
    lines = (folder / "script").read_text().splitlines()
    return [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")]


def test_sbatch_gets_what_is_wanted_and_a_signal_in_advance(tmp_path, commands):
    settings = ("mem=8G", "--cpus-per-task=3", "exclusive")
    options = submission(tmp_path, Wanted(7200.0, 2, "big", settings), commands)
    assert {
        "time=120", "partition=big", "gpus-per-node=2", "mem=8G", "cpus-per-task=3", "exclusive",
        "signal=USR1@120", "requeue", "open-mode=append", "job-name=asrkd-x", "array=0-1%2",
    } <= set(options)  # fmt: skip


def test_time_limit_and_its_notice_follow_the_partition(tmp_path, commands):
    options = submission(tmp_path, Wanted(), commands)
    assert not [option for option in options if option.startswith(("time", "partition", "gpus"))]
    assert {"time=1", "signal=USR1@10"} <= set(submission(tmp_path, Wanted(40.0), commands))


@pytest.mark.parametrize("setting", ["array=1-9", "--output=x", "=3", "", "mem", "mem=", "--qos"])
def test_unknown_options_of_sbatch_are_refused(setting):
    with pytest.raises(AsrkdError, match="^--slurm .*: expected KEY=VALUE"):
        Wanted(settings=(setting,)).for_slurm()


def test_what_sbatch_refuses_is_a_line(tmp_path, commands):
    commands("sbatch", "echo 'sbatch: error: invalid partition specified: moon' >&2; exit 1")
    slurm = Slurm(tmp_path / "logs", "x", Wanted(partition="moon"))
    for tasks in ([Task("1/1", ("a",))], [Task("1/2", ("a",)), Task("2/2", ("a",))]):
        with pytest.raises(
            AsrkdError, match=r"invalid partition specified: moon; see --partition.*$"
        ) as raised:
            slurm.submit(tasks)
        assert "\n" not in str(raised.value)


def test_squeue_says_what_is_over(tmp_path, commands):
    slurm = Slurm(tmp_path / "logs", "x", Wanted())
    commands("squeue", "printf '7_0 COMPLETED\\n7_1 RUNNING\\n7_2 PENDING\\n7_3 TIMEOUT\\n9 COMPLETING\\n'")
    assert slurm.over(jobs("7_0", "7_1", "7_2", "7_3", "9", "8")) == {
        "7_0": "COMPLETED",
        "7_3": "TIMEOUT",
        "8": GONE,
    }
    commands("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm.over(jobs("7_0")) == {"7_0": GONE}
    commands("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    assert slurm.over(jobs("7_0", "8")) == {}


def test_without_sbatch_or_submitit_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AsrkdError, match="sbatch is missing; .*sudo apt install slurm-client"):
        Slurm(tmp_path / "logs", "x", Wanted())
    monkeypatch.setitem(sys.modules, "submitit", None)
    for launcher in ("slurm", "local"):
        with pytest.raises(AsrkdError, match=r"needs submitit; install it with: .*pip install .*submitit$"):
            Launch(["score"], launcher, tmp_path / "out").run_parts(2, StopRequest())
    assert not list(tmp_path.iterdir())


def test_unknown_launchers_and_foreign_options_are_refused(tmp_path):
    with pytest.raises(AsrkdError, match="--launcher cloud: expected slurm or local"):
        Launch(["score"], "cloud", tmp_path / "out").run_parts(2, StopRequest())
    with pytest.raises(AsrkdError, match="no effect with --launcher local"):
        Local(tmp_path / "logs", Wanted(partition="big"))


@pytest.mark.slow
def test_local_launcher_runs_parts_and_resubmits_them(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["score", "--out", str(out), "--jobs", "3", "--launcher", "local"]
    program = (sys.executable, "-c", STAND_IN)
    launch = Launch(arguments, "local", out, Wanted(time_limit_s=400.0), program)
    launch.run_parts(3, StopRequest())
    for number in (1, 2, 3):
        told = (out / f"part-{number}").read_text()
        assert told == f"score --out {out} --shard {number}/3 --jobs 1 --time-limit 300.000"
    assert (tmp_path / "out-logs").is_dir()
    assert "2 submitted again" in capsys.readouterr().err


def test_a_folder_of_something_else_is_no_place_for_logs(tmp_path):
    (tmp_path / "out-logs").mkdir()
    (tmp_path / "out-logs" / "thesis.tex").write_text("mine")
    with pytest.raises(AsrkdError, match=r"out-logs: holds 'thesis.tex' but no launch.json"):
        Launch(["score"], "local", tmp_path / "out").run_parts(1, StopRequest())
    assert os.listdir(tmp_path / "out-logs") == ["thesis.tex"]
