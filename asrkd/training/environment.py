"""How the processes of a run find each other: by the environment that torchrun or a scheduler gives them.

torchrun's names are RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT;
Slurm's srun has names of its own, which are translated. srun may be typed in
a batch job, in an allocation of salloc or on a login node, where it makes an
allocation of its own; the first task is on the first node of the step in any case.
"""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass

import torch
import torch.distributed as dist

from asrkd.core.device import Precision
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.shell import command
from asrkd.training.distributed import PATIENCE, Processes


@dataclass(frozen=True)
class Environment:
    """The machine and the manner of a run, in one of its processes."""

    device: torch.device
    precision: Precision
    workers: int = 0  # loader processes beside each trainer
    checkpoint_every_s: float = 600.0  # at most so much is lost to a kill; validations save too
    processes: Processes = Processes()


# Below the ports that Linux gives to whoever asks for any (32768 and up).
_SLURM_PORTS = range(20_000, 32_000)

_PLACE = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # beside WORLD_SIZE


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the other processes of the run, if the environment says that there are any.

    Within the block all but the first are silent. An error that a user can
    mend is told to the others before it leaves the block, and ends them too.

    Raises:
        AsrkdError: the environment is incomplete, or the others cannot be reached.
    """
    place = os.environ if os.environ.get("WORLD_SIZE") else _of_slurm(os.environ)
    processes = _processes(place)
    if processes.count == 1:
        yield processes
        return
    address, port = place["MASTER_ADDR"], place["MASTER_PORT"]
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"tcp://{address}:{port}",
            timeout=PATIENCE,
            rank=processes.rank,
            world_size=processes.count,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise AsrkdError(
            f"MASTER_ADDR, MASTER_PORT: no meeting at {address}:{port} ({error_text(error)})"
        ) from None
    try:
        with _silence() if processes.rank else nullcontext():
            yield processes
    except (AsrkdError, OSError) as error:
        processes.announce(error)
        raise
    finally:
        dist.destroy_process_group()


def _of_slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """torchrun's names for the place of a task of srun; empty elsewhere, as in the script of a batch job.

    All tasks of a step take the same port, which is another for another job or step.
    """
    if not environment.get("SLURM_STEP_NUM_TASKS") or _is_typed_in_a_task(environment):
        return {}
    number = int(environment["SLURM_JOB_ID"]) * 7 + int(environment.get("SLURM_STEP_ID", 0))
    named = {
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "RANK": environment.get("SLURM_PROCID", ""),
        "LOCAL_RANK": environment.get("SLURM_LOCALID", ""),
        "MASTER_ADDR": _first_node(environment),
        "MASTER_PORT": str(_SLURM_PORTS[number % len(_SLURM_PORTS)]),
    }
    return named | {name: environment[name] for name in _PLACE if environment.get(name)}


def _is_typed_in_a_task(environment: Mapping[str, str]) -> bool:
    """Whether this is a command that somebody typed into a shell of ``srun --pty``, not a task itself.

    Of several tasks the first alone has a terminal, so the others never run the command. A shell gives
    what is typed a process group of its own; a task and what its script runs are in the task's.
    """
    try:
        return os.isatty(0) and os.getpgrp() != os.getpgid(int(environment["SLURM_TASK_PID"]))
    except (KeyError, ValueError, OSError):
        return False


def _first_node(environment: Mapping[str, str]) -> str:
    """An address of the node that runs the first task of the step, for all its tasks; '' if none is known."""
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        return "127.0.0.1"
    # Of the node that runs srun: in a batch job the first one; it may be a login node too, which has no task.
    address = environment.get("SLURM_LAUNCH_NODE_IPADDR", "")
    name = first_of_hostlist(environment.get("SLURM_STEP_NODELIST", ""))
    try:
        socket.getaddrinfo(name or None, 0)
    except OSError:  # a cluster whose nodes do not know each other by their names in Slurm
        return address
    return name or address


def first_of_hostlist(nodes: str) -> str:
    """The first name in a list of Slurm's, such as gpu003 of 'gpu[003-007,9],login1'."""
    first = re.match(r"(?:[^,[]|\[[^]]*\])*", nodes)
    return re.sub(r"\[(\w*)[^]]*\]", r"\1", first[0]) if first else ""


def _processes(place: Mapping[str, str]) -> Processes:
    try:
        count = int(place.get("WORLD_SIZE") or 1)
        if count == 1:
            return Processes()
        if missing := [name for name in _PLACE if not place.get(name)]:
            start = command("torchrun", "--nproc_per_node", str(count), "-m", "asrkd", "train", "...")
            raise AsrkdError(
                f"WORLD_SIZE={count}, but no {', '.join(missing)}: start with: {start}; or unset WORLD_SIZE"
            )
        return Processes(int(place["RANK"]), count, int(place["LOCAL_RANK"]))
    except ValueError as error:
        raise AsrkdError(f"WORLD_SIZE, RANK, LOCAL_RANK: expected numbers ({error})") from None


@contextmanager
def _silence() -> Iterator[None]:
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(redirect_stdout(nowhere))
        stack.enter_context(redirect_stderr(nowhere))
        yield
