"""Environment of a process in training: device, precision, and its place among the processes of the run.

Processes join by the variables that torchrun sets: RANK, LOCAL_RANK,
WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Slurm's srun sets others, which are
translated. srun may be called in a batch job, in an allocation of salloc or on
a login node, where it makes an allocation; in each case the first task is on
the first node of the step.
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
from asrkd.training.distributed import TIMEOUT, Processes


@dataclass(frozen=True)
class Environment:
    """Device, precision and processes of a run, as seen by one process."""

    device: torch.device
    precision: Precision
    workers: int = 0  # loader processes for each trainer
    checkpoint_every_s: float = 600.0  # interval of checkpoints between validations
    processes: Processes = Processes()


# Below the ephemeral ports of Linux (32768 and up).
_SLURM_PORTS = range(20_000, 32_000)

_PLACE = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # beside WORLD_SIZE


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the other processes of the run, if the environment names any.

    Within the context all but the first are silent. A user error is sent to
    the others before it leaves the context, and ends them too.

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
            timeout=TIMEOUT,
            rank=processes.rank,
            world_size=processes.count,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise AsrkdError(
            f"MASTER_ADDR, MASTER_PORT: cannot join the others at {address}:{port} ({error_text(error)})"
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
    """Translate the variables of a task of srun to torchrun's; empty elsewhere, as in a batch script.

    All tasks of a step use the same port, which differs between jobs and steps.
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
    """Whether this command was typed into a shell of ``srun --pty``, and is not a task itself.

    Only the first of several tasks has a terminal, so the others never run the command. A shell puts a
    typed command into a new process group; a task and the commands of its script are in the task's.
    """
    try:
        return os.isatty(0) and os.getpgrp() != os.getpgid(int(environment["SLURM_TASK_PID"]))
    except (KeyError, ValueError, OSError):
        return False


def _first_node(environment: Mapping[str, str]) -> str:
    """Return an address of the node of the step's first task, for all its tasks; '' if it is unknown."""
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        return "127.0.0.1"
    # Address of the node that runs srun: in a batch job the first; a login node, without a task, elsewhere.
    address = environment.get("SLURM_LAUNCH_NODE_IPADDR", "")
    name = first_of_hostlist(environment.get("SLURM_STEP_NODELIST", ""))
    try:
        socket.getaddrinfo(name or None, 0)
    except OSError:  # nodes do not resolve each other's names in Slurm
        return address
    return name or address


def first_of_hostlist(nodes: str) -> str:
    """Return the first name of a Slurm host list, such as gpu003 of 'gpu[003-007,9],login1'."""
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
