"""Checkpoints: the whole state of a run, so that it resumes as if it had not been stopped.

Each is a safetensors file, whole or absent: weights, optimizer moments and
snapshots as tensors, the position and a digest of everything in the header.
The last two are kept, so that a broken one costs little; the digest detects a
flipped byte, which safetensors alone does not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from asrkd.core import files
from asrkd.core.errors import AsrkdError, warn
from asrkd.core.shell import remove_folder

KEPT = 2
_BROKEN = (SafetensorError, ValueError, KeyError, TypeError, OSError)  # raised on a broken checkpoint


@dataclass
class Position:
    """Position of a run: its progress, and the environment that it began in."""

    step: int = 0  # updates made, over all phases
    phase: int = 0
    phase_step: int = 0  # updates made in this phase
    epoch: int = 0
    batch: int = 0  # completed batches of the epoch's plan
    plan_digest: str = ""  # digest of that plan
    best_wer: float | None = None  # lowest on dev so far, in validation.unit
    validation: dict[str, Any] = field(default_factory=dict)  # the latest
    scaler: dict[str, Any] = field(default_factory=dict)  # state of the gradient scaler in fp16
    train_seconds: float = 0.0  # time in updates and validation, over all sessions
    threads: int = field(default_factory=torch.get_num_threads)
    processes: int = 1


@dataclass(frozen=True)
class Checkpoint:
    """A position with its tensors."""

    position: Position
    weights: dict[str, Tensor]  # by name, each of its own shape (...)
    moments: dict[str, Tensor]  # of the optimizer, '<parameter number>.<name>', (...) or a scalar ()
    snapshots: list[dict[str, Tensor]]  # like the weights, oldest first


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into ``folder``, keep the one before it and remove the others.

    Checkpoints of later steps are removed too: the run did not resume from them, so they are broken.
    """
    tensors = {f"weights/{name}": value for name, value in checkpoint.weights.items()}
    tensors |= {f"moments/{name}": value for name, value in checkpoint.moments.items()}
    for number, snapshot in enumerate(checkpoint.snapshots):
        tensors |= {f"snapshot-{number}/{name}": value for name, value in snapshot.items()}
    path = checkpoint_path(folder, checkpoint.position.step)
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    position = json.dumps(asdict(checkpoint.position))
    header = {"position": position, "digest": _digest(position, contiguous)}
    with files.create_aside(path) as partial:
        save_file(contiguous, str(partial), metadata=header)
    earlier = [old for old in list_checkpoints(folder) if old.name < path.name]
    kept = {path, *earlier[len(earlier) - (KEPT - 1) :]}
    for old in list_checkpoints(folder):
        if old not in kept:
            old.unlink()
    return path


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of a step."""
    return folder / f"step-{step:08d}.safetensors"


def checkpoint_step(path: Path) -> int:
    """Return the step of the checkpoint at ``path``."""
    return int(path.stem.removeprefix("step-"))


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints in ``folder``, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def clear_unfinished(folder: Path) -> None:
    """Remove the partial files of killed writers from ``folder``: they are large and never read."""
    for partial in folder.glob("step-*.partial"):
        partial.unlink(missing_ok=True)


def load_latest(folder: Path) -> Checkpoint | None:
    """Load the newest checkpoint that can be read; None if there is none.

    Broken checkpoints are skipped with a line on stderr.

    Raises:
        AsrkdError: all checkpoints are broken; whether to start again is the user's decision.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return _load(path)
        except _BROKEN as error:
            warn(f"{path}: broken checkpoint skipped ({error})")
    if paths:
        raise AsrkdError(
            f"{folder}: all {len(paths)} checkpoints are broken, expected one to resume from; restore one "
            f"from a copy, or discard the training and start again: {remove_folder(folder)}"
        )
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; AsrkdError if it is torn or damaged."""
    try:
        return _load(path)
    except _BROKEN as error:
        raise AsrkdError(f"{path}: cannot be read ({error}); expected a checkpoint") from None


def _digest(position: str, tensors: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of the position and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(position.encode("utf-8"))
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(path: Path) -> Checkpoint:
    with safe_open(str(path), framework="pt") as stream:
        header = stream.metadata()
        tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
    if header["digest"] != _digest(header["position"], tensors):
        raise ValueError("its digest does not match its bytes")
    groups: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = value
    position = Position(**json.loads(header["position"]))
    snapshots = sorted(group for group in groups if group.startswith("snapshot-"))
    snapshots.sort(key=lambda group: int(group.rpartition("-")[2]))
    return Checkpoint(
        position, groups["weights"], groups.get("moments", {}), [groups[group] for group in snapshots]
    )


def mean_weights(snapshots: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average snapshots, (...) by name, in float64; each mean has the type of its tensor."""
    return {
        name: torch.stack([snapshot[name].double() for snapshot in snapshots]).mean(0).to(value.dtype)
        for name, value in snapshots[0].items()
    }


def optimizer_moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors by '<parameter number>.<name>'.

    A moment has the shape (...) of its parameter; a count of steps is a scalar ().
    """
    state: Mapping[int, Mapping[str, object]] = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
    }


def restore_moments(optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Restore the state that :func:`optimizer_moments` returned, tensors (...) and () by the same names."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(whole | {"state": state})
