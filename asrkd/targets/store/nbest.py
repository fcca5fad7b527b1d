"""Stores of N-best lists: human-readable JSON lines, one for each cut."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.core import files
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError, reason
from asrkd.core.shell import make_again
from asrkd.data.cuts.records import cut_digest, records
from asrkd.scoring.units import Unit, read_unit
from asrkd.targets.nbest import RECORD, Nbest, as_record, from_record
from asrkd.targets.store import fields
from asrkd.targets.store.shards import DIGEST_LENGTH, Entry, write_shard
from asrkd.targets.store.store import Store, damage


class NbestStore(Store):
    """Store of N-best lists."""

    suffix = ".jsonl"

    def __init__(self, path: Path) -> None:
        """Open the complete store at ``path``; AsrkdError if it is not one, or of a later asrkd."""
        super().__init__(path, "nbest")
        self.record: int = self.contract.get("record", 1)
        if self.record > RECORD:
            raise AsrkdError(
                f"{path}: its lists have format {self.record}, this asrkd reads up to {RECORD}; update it, "
                f"or {make_again(path, self.remake, 'the store')}"
            )

    @property
    def unit(self) -> Unit:
        """Unit of errors; AsrkdError if this asrkd does not know its rules."""
        remedy = make_again(self.path, self.remake, "the store")
        return read_unit(self.contract, f"{self.path}/{CONTRACT}", remedy)

    def require_tokens(self, what: str) -> None:
        """Raise AsrkdError if the store has no tokens, as stores of record 1; ``what`` needs them."""
        if self.record < 2:
            raise AsrkdError(
                f"{self.path}: {what} needs the hypotheses' tokens, which stores of this age lack; "
                f"{make_again(self.path, self.remake)}"
            )

    def read(self, cut_id: str) -> Nbest:
        """Read the hypotheses of a cut.

        Raises:
            AsrkdError: the cut has no hypotheses, their checksum does not match, or they are no N-best list.
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
            return parse_nbest_line(line)
        except ValueError as error:
            raise AsrkdError(
                damage(self.shards[shard], f"the list of cut {cut_id} cannot be read ({reason(error)})")
            ) from None


def parse_nbest_line(line: bytes) -> Nbest:
    """Parse the line of a cut; ValueError if it is no N-best list."""
    record = files.parse_json(line.decode("utf-8"))
    fields.NBEST.check(record)
    return from_record(record)


def nbest_line(cut: MonoCut, nbest: Nbest) -> bytes:
    """Serialize the line of a cut."""
    return (json.dumps(as_record(cut.id, cut_digest(cut), nbest), ensure_ascii=False) + "\n").encode()


def write_nbest_lines(path: Path, contract: str, cuts: Sequence[MonoCut], lines: Sequence[bytes]) -> None:
    """Write a shard of N-best lists, the payload and its index.

    Args:
        path: path of the payload.
        contract: digest of the store's contract.
        cuts: cuts of the shard, in order.
        lines: serialized list of each cut.
    """
    entries, offset = [], 0
    for record, line in zip(records(cuts), lines, strict=True):
        entry = Entry(offset, len(line), record.digest[:DIGEST_LENGTH], zlib.crc32(line))
        entries.append((record.id, entry))
        offset += len(line)
    write_shard(path, contract, lambda partial: _write(partial, lines), entries)


def _write(path: Path, lines: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(lines))
