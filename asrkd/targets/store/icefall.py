"""Codebook indexes in icefall's format: lhotse TemporalArrays in ``cut.custom["codebook_indexes"]``.

icefall's data loader reads cuts whose field ``codebook_indexes`` names a
uint8 array (T, codebooks), in an HDF5 file (``numpy_hdf5``) or a file for
each cut (``numpy_files``). Paths in such manifests are relative to the working
directory, as everywhere in lhotse; they do not record teacher and quantizer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from lhotse import MonoCut, NumpyFilesWriter, NumpyHdf5Writer
from lhotse.array import TemporalArray
from pydantic import Field
from torch import Tensor

from asrkd.core import files
from asrkd.core.errors import AsrkdError, reason
from asrkd.core.schema import Count, Duration, Record, Schema, Seconds
from asrkd.data.corpora.utterances import locate
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.targets.store.arrays import ArrayStore

FIELD = "codebook_indexes"
STORAGES = ("numpy_files", "numpy_hdf5")
MISSING_FRAMES = 2  # frames that a front end without padding may lose at the ends of an utterance

NUMPY_SUFFIX = ".npy"  # suffix that lhotse appends to the key of an array in a separate file

Writer: TypeAlias = Any  # lhotse has no common name for its writers


class _Array(Record):
    storage_type: str
    storage_path: str
    storage_key: str
    shape: Annotated[list[Count], Field(min_length=2, max_length=2)]  # T, codebooks


class _Temporal(Record):
    array: _Array
    temporal_dim: Literal[0]
    frame_shift: Duration
    start: Seconds


_TEMPORAL: Schema[Any] = Schema(_Temporal)


@contextmanager
def open_writer(out: Path, storage: str) -> Iterator[Writer]:
    """Open lhotse's writer of arrays in ``out``, for a storage that :func:`check_storage` accepts."""
    if storage == "numpy_files":
        with NumpyFilesWriter(out / FIELD) as writer:
            yield writer
        return
    path = out / f"{FIELD}.h5"
    path.unlink(missing_ok=True)  # h5py would append to the file of an unfinished run
    with NumpyHdf5Writer(path) as writer:
        yield writer


def check_storage(storage: str) -> None:
    """Raise AsrkdError if the storage is unknown, or needs h5py and there is none."""
    if storage not in STORAGES:
        raise AsrkdError(f"--storage {storage}: expected one of {', '.join(STORAGES)}")
    if storage == "numpy_hdf5":
        require_h5py()


def require_h5py() -> None:
    """Raise AsrkdError unless h5py is installed."""
    try:
        import h5py  # noqa: F401
    except ImportError:
        raise AsrkdError(
            "numpy_hdf5: h5py is not installed; pip install 'asrkd[icefall]', or use --storage numpy_files"
        ) from None


def with_indexes(cut: MonoCut, store: ArrayStore, writer: Writer, key: str) -> MonoCut:
    """Write the indexes of a cut from ``store`` as a TemporalArray, and return the cut with it.

    Args:
        cut: a cut of the store.
        store: the store of codebook indexes.
        writer: the writer that :func:`open_writer` returned.
        key: the array's key in the manifest; with ``numpy_files`` a file name.

    Raises:
        AsrkdError: the store has no indexes of the cut, or they are damaged.
    """
    manifest = writer.store_array(
        key=key,
        value=store.read(cut.id).numpy(),
        frame_shift=store.contract["frame_shift"],
        temporal_dim=0,
        start=cut.start,  # lhotse takes times from the beginning of the recording
    )
    return replace(cut, custom={**(cut.custom or {}), FIELD: manifest})


def read_carrying(path: Path, prepared: PackedCuts | None) -> PackedCuts:
    """Read the cuts of a manifest that carry indexes, completed by the cuts ``prepared``.

    icefall stores cuts with indexes without recording and features, and joins them with the training cuts
    by id.

    Args:
        path: path of the manifest.
        prepared: cuts from ``asrkd prepare``; None without them.

    Raises:
        AsrkdError: a line is not a cut, an id is a duplicate, or a cut is incomplete.
    """
    if prepared is None or not _has_stripped(path):
        return read_cuts(path)
    records = {record.id: record for record in prepared.records}
    cuts, seen = PackedCuts(folder=path.parent), set[str]()
    for number, text in files.read_lines(path):
        cut_id = files.parse_object(path, number, text).get("id")
        if not isinstance(cut_id, str) or cut_id in seen:
            problem = "duplicate cut id" if cut_id in seen else "not a cut id:"
            raise AsrkdError(f"{path}:{number}: {problem} {cut_id!r}; give each cut its own id")
        seen.add(cut_id)
        if cut_id in records:  # cuts that --cuts lacks are not imported
            cuts.append_line(text, records[cut_id])
    return cuts


def _has_stripped(path: Path) -> bool:
    """Return whether a line has neither recording nor features."""
    return any(not row.get("recording") and not row.get("features") for _, row in files.read_jsonl(path))


def stored_indexes(cut: MonoCut, manifest: Path) -> tuple[Tensor, float]:
    """Read the indexes that a cut of ``manifest`` carries, uint8 (T, codebooks), and their frame shift in s.

    Raises:
        AsrkdError: the cut has no indexes, or they cannot be read, are not bytes, or are of another length.
    """
    temporal = (cut.custom or {}).get(FIELD)
    if not isinstance(temporal, TemporalArray):
        raise AsrkdError(f"{manifest}: cut {cut.id} has no {FIELD}; was it joined with its indexes?")
    if temporal.array.storage_type == "numpy_hdf5":
        require_h5py()
    array = replace(temporal.array, storage_path=str(locate(temporal.array.storage_path, manifest.parent)))
    try:
        values = _load(replace(temporal, array=array), cut)
    except Exception as error:  # each storage raises other classes
        where = f"{temporal.array.storage_path} of cut {cut.id}"
        raise AsrkdError(f"{manifest}: {where} cannot be read: {reason(error)}") from None
    _check(values, temporal.frame_shift, cut, manifest)
    return torch.from_numpy(values.astype(np.uint8)), temporal.frame_shift


def _load(temporal: TemporalArray, cut: MonoCut) -> npt.NDArray[Any]:
    """Load the cut's part of an array, all of it if both begin together, as lhotse's rounding differs."""
    if abs(temporal.start - cut.start) < temporal.frame_shift / 2:
        return np.asarray(temporal.load())
    return np.asarray(temporal.load(start=cut.start, duration=cut.duration))


def _check(values: npt.NDArray[Any], frame_shift: float, cut: MonoCut, manifest: Path) -> None:
    where = f"{manifest}: the {FIELD} of cut {cut.id}"
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer):
        raise AsrkdError(
            f"{where} are {values.dtype} of shape {values.shape}, expected integers (T, codebooks)"
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < 256:
        raise AsrkdError(f"{where} reach from {values.min()} to {values.max()}, expected 0 to 255")
    expected = cut.duration / frame_shift
    if not expected - MISSING_FRAMES - 1 < len(values) < expected + 2:
        raise AsrkdError(
            f"{where} have {len(values)} frames, expected about {expected:.0f} for {cut.duration:g} s; "
            "export them from cuts of the same speed"
        )


def common_shape(cuts: Sequence[MonoCut], manifest: Path) -> tuple[int, float]:
    """Return (codebooks, frame shift in seconds), which the indexes of all cuts have in common.

    Raises:
        AsrkdError: a cut has no indexes, or they differ from those of the first cut.
    """
    first: tuple[int, float] | None = None
    for cut in cuts:
        temporal = (cut.custom or {}).get(FIELD)
        if not isinstance(temporal, TemporalArray):
            raise AsrkdError(f"{manifest}: cut {cut.id} has no {FIELD}; was it joined with its indexes?")
        try:
            _TEMPORAL.check(temporal.to_dict())
        except ValueError as error:
            raise AsrkdError(f"{manifest}: the {FIELD} of cut {cut.id}: {error}") from None
        shape = (temporal.shape[1], temporal.frame_shift)
        first = first or shape
        if shape != first:
            raise AsrkdError(
                f"{manifest}: cut {cut.id} has {shape[0]} codebooks every {shape[1]:g} s, the first cut "
                f"{first[0]} every {first[1]:g} s"
            )
    if first is None:
        raise AsrkdError(f"{manifest}: holds no cuts")
    return first
