"""Codebook indexes as icefall has them: lhotse TemporalArrays in ``cut.custom["codebook_indexes"]``.

icefall's data loader takes cuts whose field ``codebook_indexes`` names a
uint8 array (T, codebooks), in an HDF5 file (``numpy_hdf5``) or a file each
(``numpy_files``). Paths in such manifests are relative to the working
directory, as everywhere in lhotse; nothing in them says which teacher and
quantizer they are of.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
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
# A convolutional front end without padding loses a frame or two at the ends of an utterance.
MISSING_FRAMES = 2

NUMPY_SUFFIX = ".npy"  # which lhotse appends to the key of an array in a file of its own

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
    """lhotse's writer of arrays below ``out``, for a storage that :func:`check_storage` has passed."""
    if storage == "numpy_files":
        with NumpyFilesWriter(out / FIELD) as writer:
            yield writer
        return
    path = out / f"{FIELD}.h5"
    path.unlink(missing_ok=True)  # h5py would add to what an unfinished run left
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
            "numpy_hdf5: h5py is not installed; pip install 'asrkd[icefall]', or take --storage numpy_files"
        ) from None


def with_indexes(cut: MonoCut, store: ArrayStore, writer: Writer, key: str) -> MonoCut:
    """The cut with its indexes from ``store`` as a TemporalArray, which is written on the way.

    Args:
        cut: that is in the store.
        store: of codebook indexes.
        writer: of :func:`open_writer`.
        key: the array's own, which ``numpy_files`` makes a file's name; the manifest names it.

    Raises:
        AsrkdError: the store has none for it, or they are damaged.
    """
    manifest = writer.store_array(
        key=key,
        value=store.read(cut.id).numpy(),
        frame_shift=store.contract["frame_shift"],
        temporal_dim=0,
        start=cut.start,  # lhotse takes times from the beginning of the recording
    )
    return replace(cut, custom={**(cut.custom or {}), FIELD: manifest})


def read_carrying(path: Path, own: PackedCuts | None) -> PackedCuts:
    """The cuts of a manifest that carry indexes; what icefall's scripts leave out of them is that of ``own``.

    icefall stores cuts with indexes without recording and features, and puts them together with the cuts
    that it trains on by their ids.

    Args:
        path: of the manifest.
        own: cuts as asrkd prepared them; None where there are none.

    Raises:
        AsrkdError: a line is no cut, an id comes twice, or a cut lacks what ``own`` has not either.
    """
    if own is None or not _has_stripped(path):
        return read_cuts(path)
    records = {record.id: record for record in own.records}
    cuts, seen = PackedCuts(folder=path.parent), set[str]()
    for number, text in files.read_lines(path):
        cut_id = files.parse_object(path, number, text).get("id")
        if not isinstance(cut_id, str) or cut_id in seen:
            problem = "comes twice" if cut_id in seen else "is no id"
            raise AsrkdError(f"{path}:{number}: cut {cut_id!r} {problem}; give each its own id")
        seen.add(cut_id)
        if cut_id in records:  # those that --cuts lacks are not imported
            cuts.append_line(text, records[cut_id])
    return cuts


def _has_stripped(path: Path) -> bool:
    """Whether a line has neither recording nor features."""
    return any(not row.get("recording") and not row.get("features") for _, row in files.read_jsonl(path))


def stored_indexes(cut: MonoCut, manifest: Path) -> tuple[Tensor, float]:
    """The uint8 (T, codebooks) indexes that a cut of ``manifest`` carries, and their frame shift in seconds.

    Raises:
        AsrkdError: it carries none, they cannot be read, are not bytes, or are not as long as the cut.
    """
    temporal = (cut.custom or {}).get(FIELD)
    if not isinstance(temporal, TemporalArray):
        raise AsrkdError(f"{manifest}: cut {cut.id} has no {FIELD}; was it joined with its indexes?")
    if temporal.array.storage_type == "numpy_hdf5":
        require_h5py()
    array = replace(temporal.array, storage_path=str(locate(temporal.array.storage_path, manifest.parent)))
    try:
        values = _load(replace(temporal, array=array), cut)
    except Exception as error:  # each storage raises its own
        where = f"{temporal.array.storage_path} of cut {cut.id}"
        raise AsrkdError(f"{manifest}: {where} cannot be read: {reason(error)}") from None
    _check(values, temporal.frame_shift, cut, manifest)
    return torch.from_numpy(values.astype(np.uint8)), temporal.frame_shift


def _load(temporal: TemporalArray, cut: MonoCut) -> np.ndarray:
    """The cut's part of an array: all of it where they begin together, as lhotse rounds its own way."""
    if abs(temporal.start - cut.start) < temporal.frame_shift / 2:
        return np.asarray(temporal.load())
    return np.asarray(temporal.load(start=cut.start, duration=cut.duration))


def _check(values: np.ndarray, frame_shift: float, cut: MonoCut, manifest: Path) -> None:
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
            f"{where} have {len(values)} frames, expected about {expected:.0f} for {cut.duration:g} s: "
            "are they of another speed?"
        )


def common_shape(cuts: Sequence[MonoCut], manifest: Path) -> tuple[int, float]:
    """(codebooks, frame shift in seconds) that the indexes of all cuts have in common.

    Raises:
        AsrkdError: a cut has none, or others than the first.
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
        found = (temporal.shape[1], temporal.frame_shift)
        first = first or found
        if found != first:
            raise AsrkdError(
                f"{manifest}: cut {cut.id} has {found[0]} codebooks every {found[1]:g} s, the first cut "
                f"{first[0]} every {first[1]:g} s"
            )
    if first is None:
        raise AsrkdError(f"{manifest}: holds no cuts")
    return first
