"""Cuts by the hundred thousand in memory: their lines compressed, lhotse's objects made when they are wanted.

A lhotse cut takes some five kilobytes; here it is its record (see
:mod:`asrkd.data.cuts.records`) and its share of a compressed block of lines,
together about 700 bytes. Passes that decide something go by the records.
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
    """The same cut, its relative paths taken from ``folder``."""
    changes: dict[str, Any] = {}
    if cut.features is not None:
        changes["features"] = cut.features.with_path_prefix(folder)
    if cut.recording is not None:
        changes["recording"] = cut.recording.with_path_prefix(folder)
    return replace(cut, **changes)


LINES_PER_BLOCK = 40
LEVEL = 3  # of zlib: a tenth of the size; higher ones save little and take longer
KEPT = 8000  # cuts that stay as objects once they were asked for by index


class PackedCuts(Sequence[MonoCut]):
    """A list of cuts that grows at its end.

    What is taken out is made anew, but for the last KEPT cuts that were asked for by index, which are
    handed out again: change a copy of them. A line that is no cut is an AsrkdError when it is taken out.
    """

    def __init__(self, cuts: Iterable[MonoCut] = (), folder: Path | None = None) -> None:
        """Pack ``cuts``; relative paths in those that are taken out again are resolved from ``folder``.

        None leaves them as they are.
        """
        self.records: list[CutRecord] = []
        self.folder = folder
        self._blocks: list[bytes] = []
        self._tail: list[str] = []  # lines that do not fill a block yet
        self._made: OrderedDict[int, MonoCut] = OrderedDict()
        for cut in cuts:
            self.append(cut)

    def append(self, cut: MonoCut) -> None:
        """Add a cut, as it is."""
        self.append_line(json.dumps(cut.to_dict(), ensure_ascii=False), cut_record(cut))

    def append_line(self, line: str, record: CutRecord) -> None:
        """Add a cut as the line of a manifest has it, with the record of that line."""
        self.records.append(record)
        self._tail.append(line)
        if len(self._tail) == LINES_PER_BLOCK:
            self._blocks.append(zlib.compress("\n".join(self._tail).encode("utf-8"), LEVEL))
            self._tail = []

    def extend(self, cuts: "PackedCuts") -> None:
        """Add all cuts of another list; ValueError unless its paths are taken from the same folder."""
        if cuts.folder != self.folder:
            raise ValueError(f"paths from {cuts.folder}, expected {self.folder}")
        for line, record in zip(cuts.lines(), cuts.records, strict=True):
            self.append_line(line, record)

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """The cuts ``start`` to ``stop`` as lines of JSON, their paths not resolved."""
        stop = len(self) if stop is None else stop
        for number in range(start // LINES_PER_BLOCK, -(-stop // LINES_PER_BLOCK)):
            first = number * LINES_PER_BLOCK
            yield from self._block(number)[max(start - first, 0) : stop - first]

    def where(self, wanted: Callable[[CutRecord], bool]) -> "PackedCuts":
        """Those cuts whose record is ``wanted``; the list itself if that is all of them."""
        keep = [wanted(record) for record in self.records]
        if all(keep):
            return self
        rows = zip(self.lines(), self.records, keep, strict=True)
        return self._of((line, record) for line, record, kept in rows if kept)

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
        if row not in self._made:
            (line,) = self.lines(row, row + 1)
            self._made[row] = self._make(row, line)
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        return self._made[row]

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: all but the objects that were made."""
        return self.__dict__ | {"_made": OrderedDict()}

    def _of(self, rows: Iterable[tuple[str, CutRecord]]) -> "PackedCuts":
        some = PackedCuts(folder=self.folder)
        for row in rows:
            some.append_line(*row)
        return some

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
    """The cuts of a list by their ids, in its order."""

    def __init__(self, cuts: Sequence[MonoCut]) -> None:
        """Index ``cuts``, whose ids differ."""
        self._cuts = cuts
        self._row = {record.id: row for row, record in enumerate(records(cuts))}

    def __getitem__(self, cut_id: str) -> MonoCut:
        return self._cuts[self._row[cut_id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)
