"""State of a run on disk: how far it is, its validations, and whether it diverged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from asrkd.core import files, output_folder
from asrkd.core.artifacts import DIVERGED, METRICS, STAMP
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Count, Positive, Record, Schema
from asrkd.core.shell import remove, remove_folder
from asrkd.models.directory import finish_command
from asrkd.training.checkpoint import checkpoint_step, list_checkpoints
from asrkd.training.metrics import read_metrics, train_seconds

State = Literal["new", "unfinished", "complete", "diverged"]


class _Stamp(Record):
    steps: Positive
    params: Count


class _Diverged(Record):
    reason: str


_STAMP: Schema[_Stamp] = Schema(_Stamp)
_DIVERGED: Schema[_Diverged] = Schema(_Diverged)


@dataclass(frozen=True)
class Progress:
    """Progress of a run, from the files in its folder."""

    state: State = "new"
    step: int = 0  # of the last checkpoint; of a complete run, its last
    validations: dict[int, dict[str, Any]] = field(default_factory=dict)  # records by step, up to ``step``
    params: int | None = None  # of a complete run
    train_seconds: float | None = None  # of a complete run
    reason: str = ""  # why it diverged

    @property
    def last(self) -> dict[str, Any]:
        """The last validation; empty if there is none."""
        return self.validations[max(self.validations)] if self.validations else {}

    def has_reached(self, step: int | None) -> bool:
        """Return whether the run has nothing left to do until ``step``; None: until its end."""
        if self.state in ("complete", "diverged"):
            return True
        return step is not None and self.step >= step


def read_progress(folder: Path) -> Progress:
    """Read the progress of the run in ``folder``; AsrkdError if a file in it is damaged."""
    records = read_metrics(folder / METRICS)
    if (folder / STAMP).is_file():
        stamp = _STAMP.check(output_folder.read_stamp(folder, finish_command(folder), form=_STAMP))
        validations = _validations(records, stamp.steps)
        require_validation(folder, validations, stamp.steps)
        return Progress("complete", stamp.steps, validations, stamp.params, train_seconds(records))
    paths = list_checkpoints(folder / "checkpoints")
    step = checkpoint_step(paths[-1]) if paths else 0
    validations = _validations(records, step)
    if (folder / DIVERGED).is_file():
        return Progress("diverged", step, validations, reason=_reason(folder / DIVERGED))
    return Progress("unfinished" if paths else "new", step, validations)


def require_validation(folder: Path, validations: Mapping[int, object], step: int) -> None:
    """Raise AsrkdError if a run that was trained beyond a validation has no record of it in its log."""
    if step not in validations:
        raise AsrkdError(
            f"{folder / METRICS}: damaged: no validation at step {step}, which the run has reached; restore "
            f"it from a copy, or remove the run, which the same command trains again: {remove_folder(folder)}"
        )


def _reason(path: Path) -> str:
    try:
        return _DIVERGED.check(files.read_json(path)).reason
    except ValueError as error:
        raise AsrkdError(
            f"{path}: {error}; remove it, and the same command trains the run again: {remove(path)}"
        ) from None


def _validations(records: list[dict[str, Any]], until: int) -> dict[int, dict[str, Any]]:
    """Return the validations up to a step, by step, with numbers that are not finite as None."""
    return {
        record["step"]: {name: _finite(value) for name, value in record.items()}
        for record in records
        if record["kind"] == "validation" and record["step"] <= until
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
