"""Stores of N-best lists: JSON lines that a person can read, a line a cut."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.core import files
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError, reason
from asrkd.core.shell import make_anew
from asrkd.data.cuts.records import cut_digest, records
from asrkd.scoring.units import Unit, read_unit
from asrkd.targets.nbest import RECORD, Nbest, as_record, from_record
from asrkd.targets.store import fields
from asrkd.targets.store.shards import DIGEST_LENGTH, Entry, write_shard
from asrkd.targets.store.store import Store, damage


class NbestStore(Store):
    """A store of N-best lists."""

    suffix = ".jsonl"

    def __init__(self, path: Path) -> None:
        """Open the finished store at ``path``; AsrkdError if it is not one, or of a later asrkd."""
        super().__init__(path, "nbest")
        self.record: int = self.contract.get("record", 1)
        if self.record > RECORD:
            raise AsrkdError(
                f"{path}: its lists have form {self.record}, this asrkd reads up to {RECORD}; update asrkd, "
                f"or {make_anew(path, self.remake, 'the store')}"
            )

    @property
    def unit(self) -> Unit:
        """What errors are counted in; AsrkdError if its rules are none of this asrkd's."""
        remedy = make_anew(self.path, self.remake, "the store")
        return read_unit(self.contract, f"{self.path}/{CONTRACT}", remedy)

    def require_tokens(self, what: str) -> None:
        """Raise AsrkdError if the store is of a time when tokens were not kept; ``what`` needs them."""
        if self.record < 2:
            raise AsrkdError(
                f"{self.path}: {what} needs the hypotheses' tokens, which asrkd did not keep when it was "
                f"made; {make_anew(self.path, self.remake)}"
            )

    def read(self, cut_id: str) -> Nbest:
        """The hypotheses stored for a cut.

        Raises:
            AsrkdError: there are none, their bytes are not those that were written, or what was
                written is no list.
        """
        shard, entry = self.entry(cut_id)
        try:
            with self.shards[shard].open("rb") as stream:
                stream.seek(entry.offset)
                line = stream.read(entry.length)
        except OSError as error:
            raise AsrkdError(damage(self.shards[shard], f"cannot be read ({error.strerror})")) from None
        if zlib.crc32(line) != entry.crc32:
            raise self.damaged(cut_id, shard)
        try:
            record = files.parse_json(line.decode("utf-8"))
            fields.NBEST.check(record)
            return from_record(record)
        except ValueError as error:
            raise AsrkdError(
                damage(self.shards[shard], f"the list of cut {cut_id} cannot be read ({reason(error)})")
            ) from None


def write_nbest_shard(path: Path, contract: str, cuts: Sequence[MonoCut], lists: Sequence[Nbest]) -> None:
    """Write one shard.

    Args:
        path: of the payload.
        contract: digest of the store's contract.
        cuts: of the shard, in order.
        lists: the hypotheses of each.
    """
    lines = [nbest_line(cut, nbest) for cut, nbest in zip(cuts, lists, strict=True)]
    write_nbest_lines(path, contract, cuts, lines)


def nbest_line(cut: MonoCut, nbest: Nbest) -> bytes:
    """The line of a shard about a cut."""
    return (json.dumps(as_record(cut.id, cut_digest(cut), nbest), ensure_ascii=False) + "\n").encode()


def write_nbest_lines(path: Path, contract: str, cuts: Sequence[MonoCut], lines: Sequence[bytes]) -> None:
    """As :func:`write_nbest_shard`, given the line of each cut."""
    entries, offset = [], 0
    for record, line in zip(records(cuts), lines, strict=True):
        entry = Entry(offset, len(line), record.digest[:DIGEST_LENGTH], zlib.crc32(line))
        entries.append((record.id, entry))
        offset += len(line)
    write_shard(path, contract, lambda partial: _write(partial, lines), entries)


def _write(path: Path, lines: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(lines))
