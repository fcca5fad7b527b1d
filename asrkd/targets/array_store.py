"""Stores of arrays over frames: codebook indexes, posteriors, hidden states.

A payload is a safetensors file of few tensors, each with the frames of all
cuts one after another: ``values`` (frames, ...), and for posteriors
``tokens`` as well. A tensor a cut would cost some 90 bytes each.

Letters: T frames of a cut.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from lhotse import MonoCut
from safetensors.torch import save_file
from torch import Tensor

from asrkd.cut_records import cut_digest
from asrkd.errors import AsrkdError
from asrkd.targets.array_layout import ArrayLayout, read_layouts
from asrkd.targets.shard_index import DIGEST_LENGTH, Entry, write_shard
from asrkd.targets.store import Store, damage

VALUES = "values"


class ArrayStore(Store):
    """A store of arrays for each cut; opened as the kind that its contract must name."""

    suffix = ".safetensors"

    def __init__(self, path: Path, kind: str) -> None:
        """Open the finished store at ``path``; see :class:`asrkd.targets.store.Store`."""
        super().__init__(path, kind)
        self._layouts: dict[int, dict[str, ArrayLayout]] = {}  # by shard, as they are needed

    def read_all(self, cut_id: str) -> dict[str, Tensor]:
        """The (T, ...) arrays stored for a cut, by name.

        Raises:
            AsrkdError: there are none, or their bytes are not those that were written.
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
        """The (T, ...) ``values`` stored for a cut; AsrkdError as of :meth:`read_all`."""
        return self.read_named(cut_id, VALUES)[0]

    def read_named(self, cut_id: str, *names: str) -> list[Tensor]:
        """The (T, ...) arrays of these names; AsrkdError as of :meth:`read_all`, or if one is not there."""
        arrays = self.read_all(cut_id)
        missing = [name for name in names if name not in arrays]
        if missing:
            shard, _ = self.entry(cut_id)
            raise AsrkdError(damage(self.shards[shard], f"holds no array {missing[0]!r}"))
        return [arrays[name] for name in names]


def write_array_shard(
    path: Path, contract: str, cuts: Sequence[MonoCut], arrays: Sequence[Mapping[str, Tensor]]
) -> None:
    """Write one shard.

    Args:
        path: of the payload.
        contract: digest of the store's contract.
        cuts: of the shard, in order.
        arrays: for each cut its (T, ...) arrays by name, the same names for all.
    """
    entries, offset = [], 0
    for cut, own in zip(cuts, arrays, strict=True):
        (length,) = {len(array) for array in own.values()}
        entries.append((cut.id, Entry(offset, length, cut_digest(cut)[:DIGEST_LENGTH], checksum(own))))
        offset += length
    joined = {name: torch.cat([own[name] for own in arrays]).contiguous() for name in arrays[0]}
    write_shard(path, contract, partial(_save, joined), entries)


def checksum(arrays: Mapping[str, Tensor]) -> int:
    """CRC-32 of the bytes of arrays (T, ...) on the CPU, in the order of their names."""
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].contiguous().numpy().tobytes(), crc)
    return crc


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, str(path))
