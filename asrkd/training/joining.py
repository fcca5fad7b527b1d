"""How the processes of a run find each other: by the environment that torchrun or a scheduler gives them.

torchrun's names are RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT;
Slurm's srun has names of its own, which are translated.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout

import torch.distributed as dist

from asrkd.errors import AsrkdError
from asrkd.shell import command
from asrkd.training.processes import PATIENCE, Processes

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
        reason = str(error).splitlines()[0]
        raise AsrkdError(f"MASTER_ADDR, MASTER_PORT: no meeting at {address}:{port} ({reason})") from None
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
    if not environment.get("SLURM_STEP_NUM_TASKS"):
        return {}
    number = int(environment["SLURM_JOB_ID"]) * 7 + int(environment.get("SLURM_STEP_ID", 0))
    named = {
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "RANK": environment.get("SLURM_PROCID", ""),
        "LOCAL_RANK": environment.get("SLURM_LOCALID", ""),
        # Of the node that runs srun: in a batch job the first, which has the first task.
        "MASTER_ADDR": environment.get("SLURM_LAUNCH_NODE_IPADDR", ""),
        "MASTER_PORT": str(_SLURM_PORTS[number % len(_SLURM_PORTS)]),
    }
    return named | {name: environment[name] for name in _PLACE if environment.get(name)}


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
