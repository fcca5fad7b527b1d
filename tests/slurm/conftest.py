"""A cluster of one node, this machine: Slurm's daemons on loopback, in a temporary folder, for a session."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")

# The node is said to have four CPUs whatever it has. A job that is queued again waits cred_expire seconds.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A running Slurm: what tests ask of it."""

    environment: dict[str, str]

    def run(self, *command: object, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as a user of the cluster, with ``more`` in its environment."""
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def start(self, *command: object, **more: str) -> "subprocess.Popen[str]":
        """Like :meth:`run`, and do not wait for it."""
        return subprocess.Popen(
            [str(word) for word in command],
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def states(self, *jobs: str) -> dict[str, str]:
        """State by job id, such as '12' or '12_3'; of all jobs if none are given."""
        asked = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T"]
        done = self.run(*asked, *([f"--jobs={','.join(jobs)}"] if jobs else []))
        assert done.returncode == 0, done.stderr
        return dict(line.split() for line in done.stdout.splitlines())

    def wait(self, *jobs: str, timeout_s: float = 150.0) -> dict[str, str]:
        """The states of jobs when all have ended, or of all jobs of the cluster."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            states = self.states(*jobs)
            if not set(states.values()) & {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED"}:
                return states
            assert time.monotonic() < give_up_at, f"{states}\n{self.run('scontrol', 'show', 'job').stdout}"
            time.sleep(0.3)

    def restarts(self, job: str) -> int:
        """How often a job was queued again."""
        shown = self.run("scontrol", "show", "job", job).stdout
        return int(shown.partition("Restarts=")[2].split()[0])


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, each another one."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="session")
def cluster(need: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start munged, slurmctld and slurmd, and stop them, by their process ids, in the end."""
    searched = need("slurm", *PROGRAMS)
    folder = tmp_path_factory.mktemp("slurm")
    write_files(folder)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    # What is run is this very asrkd, by this very Python.
    environment["PATH"] = f"{Path(sys.executable).parent}:{searched}"
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    found = Cluster(environment)
    with ExitStack() as stack:
        for command in daemons(folder):
            stack.callback(stop, start(command, folder, environment))
        stack.callback(clear, found)
        wait_until_idle(found, folder)
        yield found


def write_files(folder: Path) -> None:
    """The configuration, and munge's key."""
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(host=host, user=getuser(), folder=folder, ports=free_ports(2))
    (folder / "slurm.conf").write_text(text)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()


def daemons(folder: Path) -> list[list[str]]:
    """The commands of the daemons, in the foreground."""
    kinds = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    files = [f"--{option}={folder}/munge.{name}" for option, name in kinds.items()]
    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key", *files]
    return [munged, ["slurmctld", "-D"], ["slurmd", "-D"]]


def start(command: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a daemon; what it says goes to a file of its name."""
    with (folder / f"{command[0]}.said").open("wb") as said:
        started = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    time.sleep(0.3)  # munged makes its socket, slurmctld listens
    return started


def stop(daemon: "subprocess.Popen[bytes]") -> None:
    """Ask a daemon to end, and see to it that it does."""
    daemon.terminate()
    try:
        daemon.wait(timeout=10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def clear(cluster: Cluster) -> None:
    """End all jobs, so that nothing of them outlives the daemons."""
    cluster.run("scancel", f"--user={getuser()}")
    give_up_at = time.monotonic() + 15
    while cluster.run("squeue", "--noheader").stdout.strip() and time.monotonic() < give_up_at:
        time.sleep(0.3)


def wait_until_idle(cluster: Cluster, folder: Path) -> None:
    """Wait until the node takes jobs."""
    give_up_at = time.monotonic() + 30
    while "idle" not in (sinfo := cluster.run("sinfo", "--noheader", "--format=%T")).stdout:
        if time.monotonic() > give_up_at:
            said = "\n".join(path.read_text()[-1500:] for path in sorted(folder.glob("*.said")))
            pytest.fail(f"Slurm did not start: {sinfo.stdout}{sinfo.stderr}\n{said}")
        time.sleep(0.2)
