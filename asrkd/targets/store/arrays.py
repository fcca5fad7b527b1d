"""Stores of arrays over frames: codebook indexes, posteriors, hidden states.

A payload is a safetensors file of one or two tensors, each with the frames of
all cuts one after another: ``values`` (frames, ...), and for posteriors
``tokens`` too. A tensor for each cut would cost some 90 bytes more per cut.

Notation: T frames of a cut.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import torch
from lhotse import MonoCut
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Count, Record, Schema, truncated_repr
from asrkd.data.cuts.records import cut_digest
from asrkd.targets.store.shards import DIGEST_LENGTH, Entry, write_shard
from asrkd.targets.store.store import Store, damage

MAX_HEADER_BYTES = 2**20  # a longer header is not that of a file of few tensors

_DTYPES = {
    "U8": torch.uint8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
}


class _Array(Record):
    dtype: Literal["U8", "I16", "I32", "I64", "F16", "BF16", "F32"]
    shape: Annotated[list[Count], Field(min_length=1)]
    data_offsets: Annotated[list[Count], Field(min_length=2, max_length=2)]


_ARRAY: Schema[_Array] = Schema(_Array)


@dataclass(frozen=True)
class ArrayLayout:
    """Layout of an array in a file; its first dimension counts rows."""

    dtype: torch.dtype
    row_shape: Sequence[int]
    start: int  # byte offset in the file
    row_bytes: int
    num_rows: int

    def read(self, stream: BinaryIO, first: int, count: int) -> Tensor:
        """Read T = ``count`` rows (T, ...) from ``first`` on; ValueError if there are fewer."""
        if first + count > self.num_rows:
            raise ValueError(f"rows {first} to {first + count} of {self.num_rows}")
        stream.seek(self.start + first * self.row_bytes)
        data = bytearray(count * self.row_bytes)
        if stream.readinto(data) != len(data):  # type: ignore[attr-defined]
            raise ValueError("shorter than its header says")
        if not data:
            return torch.empty((count, *self.row_shape), dtype=self.dtype)
        return torch.frombuffer(data, dtype=self.dtype).view(count, *self.row_shape)


def read_layouts(path: Path) -> dict[str, ArrayLayout]:
    """Read the layouts of the arrays of a safetensors file, by name.

    Raises:
        ValueError: the file is not a safetensors file.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        header = files.parse_json(stream.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError(f"a header that is not a dictionary: {truncated_repr(header)}")
    layouts = {}
    for name in sorted(header.keys() - {"__metadata__"}):
        array = _ARRAY.check(header[name])
        dtype, (num_rows, *row_shape) = _DTYPES[array.dtype], array.shape
        row_bytes = prod(row_shape) * torch.empty(0, dtype=dtype).element_size()
        start = 8 + length + array.data_offsets[0]
        if start + num_rows * row_bytes > path.stat().st_size:
            raise ValueError("shorter than its header says")
        layouts[name] = ArrayLayout(dtype, row_shape, start, row_bytes, num_rows)
    return layouts


VALUES = "values"


class ArrayStore(Store):
    """Store of arrays over frames for each cut."""

    suffix = ".safetensors"

    def __init__(self, path: Path, kind: str) -> None:
        """Open the complete store at ``path``, of ``kind``; see :class:`asrkd.targets.store.store.Store`."""
        super().__init__(path, kind)
        self._layouts: dict[int, dict[str, ArrayLayout]] = {}  # by shard, read on demand

    def read_all(self, cut_id: str) -> dict[str, Tensor]:
        """Read the (T, ...) arrays of a cut, by name.

        Raises:
            AsrkdError: the cut has no arrays, or their checksum does not match.
        """
        shard, entry = self.entry(cut_id)
        try:
            if shard not in self._layouts:
                self._layouts[shard] = read_layouts(self.shards[shard])
            with self.shards[shard].open("rb", buffering=0) as stream:
                layouts = self._layouts[shard].items()
                arrays = {name: layout.read(stream, entry.offset, entry.length) for name, layout in layouts}
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise AsrkdError(damage(self.shards[shard], f"cannot be read ({error})")) from None
        if checksum(arrays) != entry.crc32:
            raise self.damaged(cut_id, shard)
        return arrays

    def read(self, cut_id: str) -> Tensor:
        """Read the (T, ...) ``values`` of a cut; AsrkdError as :meth:`read_all` raises it."""
        return self.read_named(cut_id, VALUES)[0]

    def read_named(self, cut_id: str, *names: str) -> list[Tensor]:
        """Read the (T, ...) arrays of these names.

        Raises:
            AsrkdError: an array is missing, or an error of :meth:`read_all`.
        """
        arrays = self.read_all(cut_id)
        missing = [name for name in names if name not in arrays]
        if missing:
            shard, _ = self.entry(cut_id)
            raise AsrkdError(damage(self.shards[shard], f"holds no array {missing[0]!r}"))
        return [arrays[name] for name in names]


def write_array_shard(
    path: Path, contract: str, cuts: Sequence[MonoCut], arrays: Sequence[Mapping[str, Tensor]]
) -> None:
    """Write a shard of arrays, the payload and its index.

    Args:
        path: path of the payload.
        contract: digest of the store's contract.
        cuts: cuts of the shard, in order.
        arrays: arrays (T, ...) of each cut by name; all cuts have the same names.
    """
    entries, offset = [], 0
    for cut, of_cut in zip(cuts, arrays, strict=True):
        (length,) = {len(array) for array in of_cut.values()}
        entries.append((cut.id, Entry(offset, length, cut_digest(cut)[:DIGEST_LENGTH], checksum(of_cut))))
        offset += length
    joined = {name: torch.cat([of_cut[name] for of_cut in arrays]).contiguous() for name in arrays[0]}
    write_shard(path, contract, partial(_save, joined), entries)


def checksum(arrays: Mapping[str, Tensor]) -> int:
    """Compute the CRC-32 of the bytes of arrays (T, ...) on the CPU, in the order of their names."""
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].contiguous().numpy().data, crc)
    return crc


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, str(path))
