"""A run of ``train`` that is restored from a run record instead of being trained.

Reads:   a run record, and the cuts and tokens of the run's config.
Writes:  a model folder without weights (see :mod:`asrkd.evaluation.records.restoring`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from asrkd.core import output_folder
from asrkd.core.artifacts import LINEAGE, RUN_RECORD, STAMP
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import remove_folder
from asrkd.evaluation.records.record import RunRecord, read_record
from asrkd.evaluation.records.restoring import restore_model
from asrkd.evaluation.records.same_run import data_difference, settings_difference
from asrkd.models.directory import is_restored
from asrkd.training.config import TrainConfig


def record_of(out: Path, from_record: Path | None) -> Path | None:
    """Return the record of a run: that in its restored folder, or ``from_record`` for a new folder.

    Args:
        out: model folder.
        from_record: run record to restore a new folder from.

    Returns:
        None: there is no record, or a training is in the folder.

    Raises:
        AsrkdError: ``out`` is a folder of another command.
    """
    if is_restored(out):
        return out / RUN_RECORD
    is_interrupted = (out / RUN_RECORD).is_file() and not (out / STAMP).is_file()
    may_be_restored = is_interrupted or output_folder.inspect(out, LINEAGE) is None
    return from_record if may_be_restored else None


def restored_run(
    path: Path, out: Path, experiment: TrainConfig, digests: Callable[[], dict[str, Any]]
) -> RunRecord:
    """Restore a run from its record, or confirm that a restored folder is of the run.

    Args:
        path: the record, as :func:`record_of` returns it.
        out: model folder.
        experiment: config of the run.
        digests: function that reads the data, and returns its digests as the lineage has them.

    Raises:
        AsrkdError: the record is damaged or of another run, or an input of the run is missing.
    """
    record = read_record(path)
    difference = settings_difference(record, experiment, str(path))
    if difference is None:
        difference = data_difference(record, digests())
    if difference is None:
        restore_model(record, out)
        return record
    if is_restored(out):
        remedy = f"give another --out, or remove it: {remove_folder(out)}"
        raise AsrkdError(f"{out}: restored from the record of another run: {difference}; {remedy}")
    raise AsrkdError(f"{path}: the record of another run: {difference}; train this run without --from-record")
