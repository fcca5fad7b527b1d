"""Command ``record``: a trained model and its scores as one JSON file, without weights and references.

Reads:   a model folder, and score folders in it.
Writes:  one file (see :mod:`asrkd.evaluation.records.record`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asrkd.core.errors import AsrkdError, counted
from asrkd.evaluation.records.making import make_record
from asrkd.evaluation.records.record import RunRecord, read_record, write_record
from asrkd.evaluation.records.same_run import records_difference


@dataclass(frozen=True)
class RecordReport:
    """Report of a record: file and contents."""

    out: Path
    record: RunRecord
    num_bytes: int
    already_complete: bool

    def text(self) -> str:
        """Format the file, its size and its contents as one line."""
        scores = ", ".join(self.record.scores) or "no scores"
        done = "already complete, " if self.already_complete else ""
        size = f"{self.num_bytes / 1000:.0f} kB"
        steps = counted(self.record.stamp["steps"], "step")
        return (
            f"{self.out}: {done}{self.record.system} with seed {self.record.seed}, {steps}, {scores}, {size}"
        )


def record(model: Path, score_names: Sequence[str], out: Path) -> RecordReport:
    """Write the record of a trained model and of its scores.

    A file with a record of the same run and results is left as it is, whatever the commit of asrkd, the paths
    and the time of training in it; another record is replaced.

    Args:
        model: model folder.
        score_names: names of score folders in it; none for all that there are.
        out: JSON file to write.

    Raises:
        AsrkdError: the model or a score is missing, unfinished or damaged; or ``out`` is no run record.
    """
    if out.is_dir():
        raise AsrkdError(f"{out}: is a folder, expected the name of a JSON file to write")
    made = make_record(model, score_names)
    is_same = out.exists() and _is_same(read_record(out), made, out)
    if not is_same:
        write_record(out, made)
    return RecordReport(out, made, out.stat().st_size, is_same)


def _is_same(recorded: RunRecord, made: RunRecord, out: Path) -> bool:
    """Return whether two records are of the same run, with the same weights and scores."""

    def results(run: RunRecord) -> list[Any]:
        scores = {name: replace(score, command=None) for name, score in run.scores.items()}
        return [run.system, run.weights, run.stamp, scores]

    try:
        return results(recorded) == results(made) and not records_difference(recorded, made, str(out))
    except AsrkdError:  # of an asrkd with other settings
        return False
