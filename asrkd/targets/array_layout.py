"""Where the rows of arrays lie in a safetensors file: those of a cut are read with one read and no parsing.

The library's own way parses the header and maps the file at each opening,
which for a few hundred bytes takes five times as long as reading them; a map
that is kept would end the process if the file were cut short behind it.

Letters: T rows that are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import torch
from pydantic import Field
from torch import Tensor

from asrkd import files
from asrkd.schema import Count, Record, Schema, shown

MOST_HEADER_BYTES = 2**20  # of a file of few tensors: more is no header

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
    """An array of a file, whose first dimension counts rows."""

    dtype: torch.dtype
    row_shape: Sequence[int]
    start: int  # byte of the file
    row_bytes: int
    num_rows: int

    def read(self, stream: BinaryIO, first: int, count: int) -> Tensor:
        """The (T, ...) rows from ``first`` on, T = ``count`` of them; ValueError if there are fewer."""
        if first + count > self.num_rows:
            raise ValueError(f"rows {first} to {first + count} of {self.num_rows}")
        stream.seek(self.start + first * self.row_bytes)
        data = bytearray(count * self.row_bytes)
        if stream.readinto(data) != len(data):  # type: ignore[attr-defined]
            raise ValueError("it is shorter than its header says")
        if not data:
            return torch.empty((count, *self.row_shape), dtype=self.dtype)
        return torch.frombuffer(data, dtype=self.dtype).view(count, *self.row_shape)


def read_layouts(path: Path) -> dict[str, ArrayLayout]:
    """The arrays of a safetensors file by name.

    Raises:
        ValueError: it is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > MOST_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        header = files.parse_json(stream.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError(f"a header that is no dictionary: {shown(header)}")
    layouts = {}
    for name in sorted(header.keys() - {"__metadata__"}):
        array = _ARRAY.check(header[name])
        dtype, (num_rows, *row_shape) = _DTYPES[array.dtype], array.shape
        row_bytes = prod(row_shape) * torch.empty(0, dtype=dtype).element_size()
        start = 8 + length + array.data_offsets[0]
        if start + num_rows * row_bytes > path.stat().st_size:
            raise ValueError("it is shorter than its header says")
        layouts[name] = ArrayLayout(dtype, row_shape, start, row_bytes, num_rows)
    return layouts
