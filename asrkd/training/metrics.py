"""Log of a run: a JSON line for each record, and its scalars in TensorBoard."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from asrkd.core import files
from asrkd.core.artifacts import METRICS
from asrkd.core.schema import Count, Record, Schema

LARGEST = 1e100  # largest number of a curve; sums and squares of larger ones may not be finite


class _Record(Record):
    kind: str
    step: Count


_RECORD: Schema[Any] = Schema(_Record)


class MetricLog:
    """Log of records in ``metrics.jsonl`` and of scalars in ``tensorboard/``.

    Each record has a ``kind`` ('train', 'validation', ...), a ``step``, and
    numbers. A resumed run removes the records after the checkpoint's step, and
    the 'end' of a run that was killed before its model was saved; ``kept`` are
    those that it leaves.
    """

    def __init__(self, out: Path, resume_step: int | None) -> None:
        """Open the log in ``out`` and keep the records up to ``resume_step``; None: no records."""
        self.path = out / METRICS
        resume_step = -1 if resume_step is None else resume_step
        records = read_metrics(self.path)
        kept = [record for record in records if record["step"] <= resume_step and record["kind"] != "end"]
        files.write_jsonl(self.path, kept)
        self.kept = kept
        self._stream = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=resume_step + 1)

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Append a record, and its numbers to TensorBoard under ``kind/name``."""
        self._stream.write(json.dumps({"kind": kind, "step": step} | values) + "\n")
        self._stream.flush()
        for name, value in values.items():
            if isinstance(value, (int, float)):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read all whole records of a log, oldest first; a torn last line is ignored."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = files.parse_json(line)
            _RECORD.check(record)
        except ValueError:  # the run was killed while it wrote the line
            break
        records.append(record)
    return records


def train_seconds(records: Sequence[dict[str, Any]]) -> float | None:
    """Return the seconds that a finished run took; None if the log has no end."""
    ends = curve(records, "end", "train_seconds")
    return ends[-1][1] if ends else None


def curve(records: Sequence[dict[str, Any]], kind: str, name: str) -> list[tuple[int, float]]:
    """List (step, value) of the records of a kind that have a finite number under the name, steps rising.

    Of several records of a step, the last counts.
    """
    points = {record["step"]: record.get(name) for record in records if record["kind"] == kind}
    return [
        (step, float(value))
        for step, value in sorted(points.items())
        if isinstance(value, (int, float)) and abs(value) < LARGEST  # False for NaN too
    ]
