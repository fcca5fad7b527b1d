"""How the processes of a run find each other: by the environment that torchrun or a scheduler gives them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout

import torch.distributed as dist

from asrkd.errors import AsrkdError
from asrkd.training.processes import PATIENCE, Processes

_PLACE = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # beside WORLD_SIZE


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the other processes of the run, if the environment says that there are any.

    Within the block all but the first are silent. An error that a user can
    mend is told to the others before it leaves the block, and ends them too.

    Raises:
        AsrkdError: the environment is incomplete, or the others cannot be reached.
    """
    processes = _from_environment()
    if processes.count == 1:
        yield processes
        return
    try:
        dist.init_process_group("gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError, OSError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).splitlines()[0]
        raise AsrkdError(f"MASTER_ADDR, MASTER_PORT: no meeting at {place} ({reason})") from None
    try:
        with _silence() if processes.rank else nullcontext():
            yield processes
    except (AsrkdError, OSError) as error:
        processes.announce(error)
        raise
    finally:
        dist.destroy_process_group()


def _from_environment() -> Processes:
    try:
        count = int(os.environ.get("WORLD_SIZE") or 1)
        if count == 1:
            return Processes()
        if missing := [name for name in _PLACE if not os.environ.get(name)]:
            raise AsrkdError(
                f"WORLD_SIZE={count}, but no {', '.join(missing)}: start with "
                f"torchrun --nproc_per_node {count} -m asrkd train …, or unset WORLD_SIZE"
            )
        return Processes(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]))
    except ValueError as error:
        raise AsrkdError(f"WORLD_SIZE, RANK, LOCAL_RANK: expected numbers ({error})") from None


@contextmanager
def _silence() -> Iterator[None]:
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(redirect_stdout(nowhere))
        stack.enter_context(redirect_stderr(nowhere))
        yield
