"""--launcher on a real Slurm, and on this machine: the same bytes as without, whatever befalls the jobs."""

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from asrkd.commands.proving.pipeline import write_corpus
from asrkd.core import output_folder
from asrkd.core.errors import AsrkdError
from asrkd.training.metrics import read_metrics
from tests import forked

pytestmark = pytest.mark.slow

ASRKD = [sys.executable, "-m", "asrkd"]


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".partial"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def ask(teacher: Path, corpus: Path, out: Path) -> list[str]:
    """A command of thirty shards that takes a second or two."""
    options = (
        f"--teacher {teacher} --cuts {corpus}/cuts_train.jsonl.gz --out {out} --beam 8 --cuts-per-shard 1"
    )
    return [*ASRKD, "distill", "nbest", *options.split()]


@pytest.fixture(scope="session")
def plain(teacher, corpus, tmp_path_factory) -> dict[str, bytes]:
    """What one process makes."""
    out = tmp_path_factory.mktemp("plain") / "store"
    forked.run(ask(teacher, corpus, out), check=True, capture_output=True)
    return contents(out)


def kill_first_job(seen_by: float) -> None:
    """SIGKILL the job itself, not its command, of the array's first task."""
    while time.monotonic() < seen_by:
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            is_job = "submitit.core._submit" in command and "srun" not in command[0]
            if is_job and process.environ().get("SLURM_ARRAY_TASK_ID") == "0":
                process.kill()
                return
        time.sleep(0.1)
    raise AssertionError("no job was seen")


def test_killed_slurm_jobs_are_resubmitted_until_all_is_done(cluster, teacher, corpus, tmp_path, plain):
    """Every command is killed at its twelfth file, and one job altogether."""
    command = [*ask(teacher, corpus, tmp_path / "store"), "--launcher", "slurm", "--jobs", "4"]
    launcher = cluster.start(*command, ASRKD_FAULT="kill@publish:12")
    kill_first_job(time.monotonic() + 60)
    out, err = launcher.communicate(timeout=150)
    assert launcher.returncode == 0, err
    assert out.startswith(f"{tmp_path}/store: ")
    assert "launched: 4/4 jobs" in err
    assert "submitted again" in err
    assert contents(tmp_path / "store") == plain
    assert {path.name for path in tmp_path.iterdir()} == {"store", "store-logs"}


def test_prepare_and_score_are_launched_alike(cluster, teacher, corpus, tmp_path):
    write_corpus(tmp_path)
    prepare = [*ASRKD, "prepare", "tsv", tmp_path / "corpus", "--cuts-per-shard", 4]
    score = [*ASRKD, "score", teacher, "--cuts", corpus / "cuts_dev.jsonl.gz"]
    for name, command in (("data", prepare), ("score", score)):
        for folder, options in (("slurm", ["--launcher", "slurm", "--jobs", 3]), ("here", [])):
            out = tmp_path / f"{folder}-{name}"
            done = cluster.run(*command, "--out", out, *options)
            assert done.returncode == 0, done.stderr
            assert (out / "stamp.json").is_file()
        assert contents(tmp_path / f"slurm-{name}") == contents(tmp_path / f"here-{name}")


def test_this_machine_does_the_same(cluster, teacher, corpus, tmp_path, plain):
    command = [*ask(teacher, corpus, tmp_path / "store"), "--launcher", "local", "--jobs", "2"]
    done = cluster.run(*command)
    assert done.returncode == 0, done.stderr
    assert "launched: 2/2 jobs" in done.stderr
    assert contents(tmp_path / "store") == plain


@pytest.mark.parametrize(("launcher", "jobs"), [("slurm", 2), ("local", 1)])
def test_the_mistake_of_a_job_is_the_launchers_one_line(cluster, teacher, corpus, tmp_path, launcher, jobs):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.tex").write_text("mine")
    with pytest.raises(AsrkdError, match="holds 'thesis.tex'") as mistake:
        output_folder.inspect(tmp_path / "store", "contract.json")
    command = ask(teacher, corpus, tmp_path / "store")
    launched = cluster.run(*command, "--launcher", launcher, "--jobs", jobs)
    assert launched.returncode == 1
    assert launched.stderr.splitlines()[-1] == f"asrkd: {mistake.value}"
    assert "Traceback" not in launched.stderr
    assert contents(tmp_path / "store") == {"thesis.tex": b"mine"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_launcher_cancels_its_jobs_and_exits_75(cluster, teacher, corpus, tmp_path, number):
    command = [*ask(teacher, corpus, tmp_path / "store"), "--launcher", "slurm", "--slurm", "begin=now+1hour"]
    launcher = cluster.start(*command, "--jobs", "3")
    give_up_at = time.monotonic() + 60
    while list(cluster.states().values()).count("PENDING") < 3 and time.monotonic() < give_up_at:
        time.sleep(0.2)
    launcher.send_signal(number)
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 75
    assert err.splitlines()[-1].startswith(f"asrkd: stopped by {number.name}: 3 jobs are canceled")
    assert "PENDING" not in cluster.wait().values()


def test_after_a_killed_launcher_no_job_is_submitted_twice(cluster, teacher, corpus, tmp_path):
    command = [*ask(teacher, corpus, tmp_path / "store"), "--launcher", "slurm", "--slurm", "begin=now+1hour"]
    launcher = cluster.start(*command, "--jobs", "2")
    record, give_up_at = tmp_path / "store-logs" / "jobs.json", time.monotonic() + 60
    while not record.is_file() and time.monotonic() < give_up_at:
        time.sleep(0.2)
    launcher.kill()
    launcher.communicate()
    first = {job for job, state in cluster.states().items() if state == "PENDING"}
    again = cluster.run(*command, "--jobs", "2")
    assert again.returncode == 1
    (line,) = [line for line in again.stderr.splitlines() if "earlier launch" in line]
    assert line.startswith(f"asrkd: {tmp_path}/store-logs: 2 jobs of an earlier launch not over; ")
    assert {job for job, state in cluster.states().items() if state == "PENDING"} == first
    assert cluster.run(*line.rpartition(": ")[2].split()).returncode == 0
    assert not {job for job, state in cluster.states(*first).items() if state == "PENDING"}


def test_a_training_that_is_told_to_stop_goes_on_in_another_job(cluster, config, tmp_path):
    """As preemption or the end of its time tells it: Slurm sends SIGUSR1."""
    options = ["--set", "phases.0.steps=60", "--set", "validation.every_steps=60", "--threads", "1"]
    command = [*ASRKD, "train", config, "--out", tmp_path / "run", "--device", "cpu", *options]
    launcher = cluster.start(*command, "--launcher", "slurm", "--time-limit", "10m")
    give_up_at = time.monotonic() + 60
    while not read_metrics(tmp_path / "run" / "metrics.jsonl") and time.monotonic() < give_up_at:
        time.sleep(0.01)
    cluster.run("scancel", "--signal=USR1", "--name=asrkd-run")
    out, err = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, err
    assert out.startswith(f"{tmp_path}/run: 60 steps")
    assert "1 submitted again" in err
    logs = "".join(path.read_text() for path in (tmp_path / "run-logs").glob("*.err"))
    assert logs.count("asrkd: stopped by SIGUSR1: ") == 1
    assert "time=10" in "".join(path.read_text() for path in (tmp_path / "run-logs").glob("*.sh"))
