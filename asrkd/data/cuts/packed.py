"""Packed lists of cuts: compressed lines in memory, with lhotse's objects made on access.

A packed cut is its record (:mod:`asrkd.data.cuts.records`) and its share of a
compressed block of lines, about a seventh of a lhotse cut. Passes over all
cuts use the records.
"""

import json
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from lhotse import MonoCut
from lhotse.serialization import deserialize_item

from asrkd.core.errors import AsrkdError, reason
from asrkd.data.cuts.records import CutRecord, cut_record, records


def resolve(cut: MonoCut, folder: Path) -> MonoCut:
    """Return the cut with its relative paths resolved from ``folder``."""
    changes: dict[str, Any] = {}
    if cut.features is not None:
        changes["features"] = cut.features.with_path_prefix(folder)
    if cut.recording is not None:
        changes["recording"] = cut.recording.with_path_prefix(folder)
    return replace(cut, **changes)


LINES_PER_BLOCK = 40
LEVEL = 3  # level of zlib: a tenth of the size; higher levels save little and take longer
CACHE_SIZE = 8000  # cuts that stay as objects after access by index


class PackedCuts(Sequence[MonoCut]):
    """Packed list of cuts that can grow.

    Every access makes a new object, except for the last CACHE_SIZE cuts accessed by index, which are shared:
    change only a copy of them. A line that is not a cut raises AsrkdError on access.
    """

    def __init__(self, cuts: Iterable[MonoCut] = (), folder: Path | None = None) -> None:
        """Pack ``cuts``; resolve relative paths from ``folder`` on access, or leave them if it is None."""
        self.records: list[CutRecord] = []
        self.folder = folder
        self._blocks: list[bytes] = []
        self._tail: list[str] = []  # lines of the unfinished last block
        self._cache: OrderedDict[int, MonoCut] = OrderedDict()
        for cut in cuts:
            self.append(cut)

    def append(self, cut: MonoCut) -> None:
        """Add a cut."""
        self.append_line(json.dumps(cut.to_dict(), ensure_ascii=False), cut_record(cut))

    def append_line(self, line: str, record: CutRecord) -> None:
        """Add the cut of a line of a manifest, with its record."""
        self.records.append(record)
        self._tail.append(line)
        if len(self._tail) == LINES_PER_BLOCK:
            self._blocks.append(zlib.compress("\n".join(self._tail).encode("utf-8"), LEVEL))
            self._tail = []

    def extend(self, cuts: "PackedCuts") -> None:
        """Add all cuts of another list; ValueError unless both lists resolve paths from the same folder."""
        if cuts.folder != self.folder:
            raise ValueError(f"paths from {cuts.folder}, expected {self.folder}")
        for line, record in zip(cuts.lines(), cuts.records, strict=True):
            self.append_line(line, record)

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """Yield the cuts ``start`` to ``stop`` as lines of JSON, with unresolved paths."""
        stop = len(self) if stop is None else stop
        for number in range(start // LINES_PER_BLOCK, -(-stop // LINES_PER_BLOCK)):
            first = number * LINES_PER_BLOCK
            yield from self._block(number)[max(start - first, 0) : stop - first]

    def where(self, predicate: Callable[[CutRecord], bool]) -> "PackedCuts":
        """Return the cuts whose records satisfy ``predicate``; the list itself if all do."""
        selected = [predicate(record) for record in self.records]
        if all(selected):
            return self
        rows = zip(self.lines(), self.records, selected, strict=True)
        return self._of((line, record) for line, record, is_selected in rows if is_selected)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[MonoCut]:
        return (self._make(row, line) for row, line in enumerate(self.lines()))

    @overload
    def __getitem__(self, row: int) -> MonoCut: ...

    @overload
    def __getitem__(self, row: slice) -> "PackedCuts": ...

    def __getitem__(self, row: int | slice) -> "MonoCut | PackedCuts":
        if isinstance(row, slice):
            start, stop, step = row.indices(len(self))
            if step != 1:
                raise ValueError(f"a slice of packed cuts has no step, got {step}")
            return self._of(zip(self.lines(start, stop), self.records[start:stop], strict=True))
        row = range(len(self))[row]
        if row not in self._cache:
            (line,) = self.lines(row, row + 1)
            self._cache[row] = self._make(row, line)
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return self._cache[row]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the cached objects, for other processes."""
        return self.__dict__ | {"_cache": OrderedDict()}

    def _of(self, rows: Iterable[tuple[str, CutRecord]]) -> "PackedCuts":
        cuts = PackedCuts(folder=self.folder)
        for row in rows:
            cuts.append_line(*row)
        return cuts

    def _block(self, number: int) -> list[str]:
        if number == len(self._blocks):
            return self._tail
        return zlib.decompress(self._blocks[number]).decode("utf-8").split("\n")

    def _make(self, row: int, line: str) -> MonoCut:
        try:
            cut: MonoCut = deserialize_item(json.loads(line))
            return cut if self.folder is None else resolve(cut, self.folder)
        except Exception as error:  # lhotse raises whatever the missing field causes
            raise AsrkdError(f"cut {self.records[row].id}: not a lhotse cut: {reason(error)}") from None


class CutsById(Mapping[str, MonoCut]):
    """Mapping of the cuts of a list by id, in the order of the list."""

    def __init__(self, cuts: Sequence[MonoCut]) -> None:
        """Index ``cuts`` with unique ids."""
        self._cuts = cuts
        self._row = {record.id: row for row, record in enumerate(records(cuts))}

    def __getitem__(self, cut_id: str) -> MonoCut:
        return self._cuts[self._row[cut_id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)
