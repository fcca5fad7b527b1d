"""The scripts of stages/slurm on a real Slurm: jobs that are killed and stopped, and a whole recipe."""

import os
import pty
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asrkd.training.environment import first_of_hostlist
from tests import forked

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

# Task 2 is killed by its third shard. Task 3 is halted after its first one, until it has been told to stop.
# Each the first time only.
TROUBLE = """
case ${SLURM_ARRAY_TASK_ID-}${SLURM_RESTART_COUNT+ again} in
  2) ASRKD_FAULT=kill@publish:3 "$@" ;;
  3)
    "$@" &
    until [[ -e $STORE/shard-00002-of-00030.jsonl ]]; do sleep 0.01; done
    kill -STOP $!
    scancel --signal=USR1 --batch "$SLURM_JOB_ID" && sleep 1
    kill -CONT $!
    wait $!
    ;;
  *) "$@" ;;
esac
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".partial"
    }


def ask(teacher: Path, corpus: Path, out: Path) -> list[str]:
    """A command of thirty shards that takes a second or two."""
    options = (
        f"--teacher {teacher} --cuts {corpus}/cuts_train.jsonl.gz --out {out} --beam 16 --cuts-per-shard 1"
    )
    return ["distill", "nbest", *options.split()]


def test_an_array_with_killed_tasks_writes_the_same_bytes(cluster, teacher, corpus, tmp_path):
    plain = [sys.executable, "-m", "asrkd", *ask(teacher, corpus, tmp_path / "plain")]
    forked.run(plain, check=True, capture_output=True)
    (tmp_path / "trouble.sh").write_text(TROUBLE)
    command = ["bash", tmp_path / "trouble.sh", "asrkd", *ask(teacher, corpus, tmp_path / "store")]
    environment = {"SBATCH_OUTPUT": f"{tmp_path}/%j.log", "STORE": f"{tmp_path}/store"}
    said = cluster.run(ROOT / "stages/slurm/targets.sh", 4, *command, **environment)
    assert said.returncode == 0, said.stderr
    finish = said.stdout.strip()
    array = str(int(finish) - 1)
    while "PENDING" in cluster.states(array).values():
        time.sleep(0.2)
    states = cluster.wait(array, finish)
    logs = "\n".join(path.read_text()[-700:] for path in sorted(tmp_path.glob("*.log")))
    assert set(states.values()) == {"COMPLETED"}, f"{states}\n{logs}"
    restarts = {number: cluster.restarts(f"{array}_{number}") for number in range(1, 5)}
    assert restarts == {1: 0, 2: 1, 3: 1, 4: 0}, logs
    assert "stopped by SIGUSR1" in logs
    assert contents(tmp_path / "store") == contents(tmp_path / "plain")


def test_a_stopped_training_is_requeued_and_dependents_wait(cluster, config, tmp_path):
    options = ["--device", "cpu", "--threads", 1, "--time-limit", "0.01", "--set", "phases.0.steps=1"]
    log = {"SBATCH_OUTPUT": f"{tmp_path}/%j.log"}
    said = cluster.run(ROOT / "stages/slurm/train.sh", config, tmp_path / "run", *options, **log)
    job = said.stdout.strip()
    waits = cluster.run(
        "sbatch", "--parsable", f"--dependency=afterok:{job}", f"--wrap=ls {tmp_path}/run/stamp.json", **log
    )
    states = cluster.wait(job, waits.stdout.strip())
    assert list(states.values()) == ["COMPLETED", "COMPLETED"], (tmp_path / f"{job}.log").read_text()
    assert cluster.restarts(job) == 1


def test_srun_processes_stop_in_time_with_the_same_weights(cluster, config, tmp_path):
    """The signal goes to the job, whose srun passes it on."""
    shared = ["--set", "optim.accumulate=4", "--set", "data.max_duration=3", "--set", "phases.0.steps=40"]
    options = ["--device", "cpu", "--threads", 1, *shared]
    script, log = ROOT / "stages/slurm/train.sh", {"SBATCH_OUTPUT": f"{tmp_path}/%j.log", "TASKS": "2"}
    whole, halted = (
        cluster.run(script, config, tmp_path / name, *options, **log).stdout.strip()
        for name in ("whole", "halted")
    )
    steps = tmp_path / "halted/metrics.jsonl"
    while not (steps.is_file() and steps.stat().st_size):
        assert cluster.states(halted)[halted] in ("PENDING", "CONFIGURING", "RUNNING")
        time.sleep(0.05)
    cluster.run("scancel", "--signal=USR1", "--batch", halted)
    states = cluster.wait(whole, halted)
    said = (tmp_path / f"{halted}.log").read_text()
    assert list(states.values()) == ["COMPLETED", "COMPLETED"], said
    assert (cluster.restarts(whole), cluster.restarts(halted)) == (0, 1), said
    assert said.count("stopped by SIGUSR1") == 1
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "halted")]
    assert weights[0] == weights[1]


def test_the_chain_makes_every_link_of_the_tiny_recipe(cluster, tmp_path):
    settings = {"SIZE": "tiny", "DATA": f"{tmp_path}/data", "EXP": f"{tmp_path}/exp", "TARGET_JOBS": "2"}
    settings["STUDENTS"] = "mvq-kd+seq-kd"  # which learns from both stores
    said = cluster.run(
        ROOT / "stages/slurm/chain.sh", "digits", **settings, SBATCH_OUTPUT=f"{tmp_path}/%j.log"
    )
    assert said.returncode == 0, said.stderr
    jobs = dict(reversed(line.split()) for line in said.stdout.splitlines())
    assert list(jobs) == ["prepare", "teacher", "quantizer", "nbest", "codebook", "mvq-kd+seq-kd"]
    states = cluster.wait(*jobs.values())
    logs = "\n".join(path.read_text()[-500:] for path in sorted(tmp_path.glob("*.log")))
    assert set(states.values()) == {"COMPLETED"}, f"{states}\n{logs}"
    assert (tmp_path / "data/stamp.json").is_file()
    for name in list(jobs)[1:]:
        assert (tmp_path / "exp" / name / "stamp.json").is_file(), name


def test_interactive_srun_meets_on_the_first_tasks_node(cluster, config, tmp_path):
    """Nobody answers at the login node's address, which is all that srun's launcher says of itself."""
    login = ["env", "SLURM_LAUNCH_NODE_IPADDR=192.0.2.1"]
    options = ["--device", "cpu", "--threads", 1, "--set", "optim.accumulate=4", "--set", "phases.0.steps=4"]
    command = ["asrkd", "train", config, "--out", tmp_path / "run", *options]
    done = cluster.run("timeout", 120, "srun", "--ntasks=2", *login, *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}/run: 4 steps") and done.stdout.count("\n") == 1
    assert (tmp_path / "run/stamp.json").is_file()


def test_training_in_a_shell_of_several_tasks_runs_alone(cluster, config, tmp_path):
    """The other tasks of srun --pty have no terminal, and their shells end at once."""
    options = ["--device", "cpu", "--threads", "1", "--set", "phases.0.steps=2"]
    typed = shlex.join(["asrkd", "train", str(config), "--out", str(tmp_path / "run"), *options])
    terminal, end = pty.openpty()
    shell = ["timeout", "120", "srun", "--ntasks=2", "--pty", "bash", "--norc", "-i"]
    started = subprocess.Popen(shell, env=cluster.environment, stdin=end, stdout=end, stderr=end)
    os.close(end)
    os.write(terminal, f"{typed}; exit 7\n".encode())
    shown = b""
    while started.poll() is None:
        try:
            shown += os.read(terminal, 1000)
        except OSError:
            break
    os.close(terminal)
    assert started.wait(30) == 7, shown.decode()
    assert (tmp_path / "run/stamp.json").is_file(), shown.decode()


@pytest.mark.parametrize("nodes", ["vm", "gpu[003-007,9],login1", "a,b", "n[1,3-5]-x[2-4]"])
def test_the_first_node_of_a_hostlist_is_slurms(cluster, nodes):
    expanded = cluster.run("scontrol", "show", "hostnames", nodes)
    assert first_of_hostlist(nodes) == expanded.stdout.splitlines()[0]


def test_a_script_started_wrongly_prints_its_usage(cluster, config, tmp_path):
    out, log = tmp_path / "my run", {"SBATCH_OUTPUT": f"{tmp_path}/%j.log"}
    here = subprocess.run(
        ["bash", "stages/slurm/job.sh", "asrkd", "train", str(config), "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("SLURM_")},
    )  # fmt: skip
    assert here.returncode == 2 and here.stderr.count("\n") == 1
    _, _, wanted = here.stderr.partition("submit it: ")
    assert shlex.split(wanted)[:3] == ["sbatch", "stages/slurm/job.sh", "asrkd"]
    assert shlex.split(wanted)[-1] == str(out)

    train = [ROOT / "stages/slurm/train.sh", config, out]
    twice = cluster.run("srun", "--ntasks=2", "bash", *train, **log)
    assert twice.returncode == 2 and shlex.split(twice.stderr.splitlines()[0])[-1] == str(out)
    assert "run it without srun: bash " in twice.stderr and not twice.stdout

    job = cluster.run("sbatch", "--parsable", *train, **log).stdout.strip()
    cluster.wait(job)
    said = (tmp_path / f"{job}.log").read_text()
    assert said.startswith("asrkd: stages/slurm/train.sh submits jobs itself: bash stages/slurm/train.sh ")
    assert shlex.split(said)[-1] == str(out) and not out.exists()
