"""Processes that train one model together, started by torchrun or a scheduler.

Each computes its share of the batches of an update; DistributedDataParallel
sums the gradients. Their number determines the speed, not the result.

Equal for any number of processes: the plan, the batches of each update, random
draws of augmentation and dropout for a batch (functions of (seed, epoch, cut
id) and of (seed, step, number of the batch in the update)), the denominators,
the clipping, the schedule. Not equal: the order in which gradients are summed,
and with it the last bits; on CPU, the same number of processes repeats them.

The first process alone writes and prints. Messages are sent by gloo, gradients
by gloo or, between GPUs, nccl. Every message can be an error instead, so that
an error of one process ends all of them, with one line.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from asrkd.core.device import pick_device
from asrkd.core.errors import AsrkdError, error_text

TIMEOUT = timedelta(minutes=30)  # for a silent process; longer than a validation or a checkpoint takes
_LOST = ("gloo", "nccl", "connection", "timed out", "broken pipe", "socket")  # words in torch's messages

Value = TypeVar("Value")
Item = TypeVar("Item")


class _WithSpare(nn.Module):
    """Module with a parameter that no loss reaches; torch warns if there is none."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.spare = nn.Parameter(next(module.parameters()).new_zeros(1))

    def forward(self, *arguments: Any) -> Any:
        """Call the module."""
        return self.module(*arguments)


class ElsewhereError(AsrkdError):
    """Error of another process of the run, which reports it; this one ends with its exit status."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status, self.reported = exit_status, True


class LostContact(AsrkdError):
    """Loss of contact with another process of the run, which died or hangs."""


@dataclass(frozen=True)
class _Message:
    """Message of a process to all others: a value, or an error."""

    value: Any = None
    error: str | None = None
    exit_status: int = 0


@dataclass(frozen=True)
class Processes:
    """Processes of a run, as seen by one of them; a single process needs no communication."""

    rank: int = 0  # number of this process
    count: int = 1
    local_rank: int = 0  # on this machine

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def exchange(self, value: Value) -> list[Value]:
        """Gather the ``value`` of every process, by rank; all processes call it, and wait for each other.

        Raises:
            ElsewhereError: another process failed.
            LostContact: another process died.
        """
        if self.count == 1:
            return [value]
        messages = self._gather(_Message(value))
        for message in messages:
            if message.error is not None:
                raise ElsewhereError(message.error, message.exit_status)
        return [message.value for message in messages]

    def first(self, function: Callable[[], Value]) -> Value:
        """Call ``function`` in the first process alone; all processes return its value."""
        return self.exchange(function() if self.is_first else None)[0]  # type: ignore[return-value]

    def agree(self, value: object, what: str) -> None:
        """Raise AsrkdError unless ``value`` is equal in all processes; ``what`` names it."""
        values = self.exchange(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise AsrkdError(
                    f"process {rank}: its {what} differ from those of process 0; "
                    "start all with one command, on disks that they share"
                )

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's share of ``items``: every ``count``-th, from its rank on."""
        return items[self.rank :: self.count]

    def check_shares(self, accumulate: int, key: str, size: float) -> None:
        """Raise AsrkdError unless ``accumulate`` batches, of a ``size`` that ``key`` sets, divide evenly."""
        if accumulate % self.count:
            even = -(-accumulate // self.count) * self.count
            raise AsrkdError(
                f"optim.accumulate: {accumulate} batches of an update do not divide evenly by "
                f"{self.count} processes; for updates of the same size: --set optim.accumulate={even} "
                f"--set data.{key}={size * accumulate / even:g}"
            )

    def device(self, name: str) -> torch.device:
        """Choose the device ``name``; of several GPUs, the one of this process.

        Raises:
            AsrkdError: there is no such device, or the name is that of one GPU for several processes.
        """
        device = pick_device(name)
        if self.count == 1 or device.type == "cpu":
            return device
        if device.index is not None:
            raise AsrkdError(f"--device {name}: {self.count} processes need a GPU each; use --device cuda")
        gpus = torch.cuda.device_count()
        index = 0 if gpus == 1 else self.local_rank  # a scheduler may show each process a single GPU
        if index >= gpus:
            raise AsrkdError(
                f"LOCAL_RANK={index}: expected below {gpus}, the number of GPUs; start as many processes"
            )
        torch.cuda.set_device(index)
        return torch.device("cuda", index)

    def distribute(self, module: nn.Module) -> nn.Module:
        """Wrap ``module`` so that a backward pass averages its gradients over processes.

        Parameters and buffers become those of the first process. Parameters
        that no process's loss reaches have no gradient.
        """
        if self.count == 1:
            return module
        is_cuda = next(module.parameters()).is_cuda
        with self._contact():
            group = dist.new_group(backend="nccl" if is_cuda else "gloo", timeout=TIMEOUT)
            for buffer in module.buffers():
                dist.broadcast(buffer, 0, group=group)
            return DistributedDataParallel(
                _WithSpare(module), process_group=group, broadcast_buffers=False, find_unused_parameters=True
            )

    @contextmanager
    def backward_pass(self, module: nn.Module, *, is_last: bool) -> Iterator[None]:
        """Context of a forward and a backward pass; gradients are averaged in the last of an update."""
        keep: AbstractContextManager[None] = nullcontext()
        if isinstance(module, DistributedDataParallel) and not is_last:
            keep = module.no_sync()  # type: ignore[assignment, operator]
        with self._contact(), keep:
            yield

    def announce(self, error: AsrkdError | OSError) -> None:
        """Send the error of this process to the others; the first process with an error prints it."""
        if isinstance(error, (ElsewhereError, LostContact)):
            return
        status = error.exit_status if isinstance(error, AsrkdError) else AsrkdError.exit_status
        try:
            messages = self._gather(_Message(error=str(error), exit_status=status))
        except LostContact:  # the others have ended already
            return
        if isinstance(error, AsrkdError):
            error.reported = any(message.error is not None for message in messages[: self.rank])

    def _gather(self, message: _Message) -> list[_Message]:
        received: list[Any] = [None] * self.count
        with self._contact():
            dist.all_gather_object(received, message)
        return received

    @contextmanager
    def _contact(self) -> Iterator[None]:
        """Convert torch's errors on a lost process to a :class:`LostContact`."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not any(word in str(error).lower() for word in _LOST):
                raise
            lost = LostContact(
                f"process {self.rank} of {self.count} lost contact with another, which died or hangs "
                f"({error_text(error)}); see its output, then run the command again with --resume"
            )
            lost.reported = self.rank > 1  # whichever process died, process 0 or process 1 reports it
            raise lost from None
