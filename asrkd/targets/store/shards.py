"""Shards of a store: their boundaries in the list of cuts, their files, and the index of each.

Shard boundaries follow from the list of cuts alone, and the cuts of a shard are
computed in one order and in the same batches wherever a run resumes (see
:mod:`asrkd.targets.store.shard_parts`), so its bytes do not depend on jobs, order or kills.

Beside the payload ``shard-00000-of-00012.safetensors`` (or ``.jsonl``) is the index
``shard-00000-of-00012.index.jsonl.gz``: a line about the payload, then a line
for each cut. The index is written last: a shard is complete if it has an index and the
payload has the length that the index records. The digest of the contract in
the index detects a shard that was copied from another store.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lhotse import MonoCut

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Schema
from asrkd.core.shell import remove, then
from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.cuts.records import cuts_digest
from asrkd.targets.store import fields
from asrkd.targets.store.provenance import remake_command


@dataclass(frozen=True)
class Shard:
    """Work item of a process: run a model on some cuts and write a file."""

    path: Path
    cuts: Sequence[MonoCut]
    model: Path
    device: str
    request: str = ""  # digest of everything that determines the outputs; for a store, of its contract
    indexed: bool = False  # whether the file has an index, which names the request

    @property
    def size(self) -> int:
        """Number of cuts."""
        return len(self.cuts)

    @property
    def key(self) -> str:
        """Digest of everything that determines the file: request, cuts, position among the shards."""
        return files.sha256_of([self.request, self.path.name, cuts_digest(self.cuts)])

    def is_done(self) -> bool:
        """Whether the file is complete; AsrkdError if it is of another store."""
        return is_whole(self.path, self.request) if self.indexed else self.path.is_file()


# Function that writes a shard, or saves parts of it if the monitor requests a stop; importable by workers.
ShardWriter = Callable[[Shard, TaskMonitor], None]


def shard_name(number: int, total: int, suffix: str) -> str:
    """Return the file name of shard ``number`` of ``total``, counted from 0."""
    return f"shard-{number:05d}-of-{total:05d}{suffix}"


def split_cuts(
    folder: Path, cuts: Sequence[MonoCut], cuts_per_shard: int, suffix: str
) -> Iterator[tuple[Path, Sequence[MonoCut]]]:
    """Yield the payload file and the cuts of each shard.

    Args:
        folder: folder of the store.
        cuts: cuts of all shards, in order.
        cuts_per_shard: number of cuts in each shard but the last, at least 1.
        suffix: suffix of the payload files.
    """
    starts = range(0, len(cuts), cuts_per_shard)
    for number, start in enumerate(starts):
        yield folder / shard_name(number, len(starts), suffix), cuts[start : start + cuts_per_shard]


SUFFIX = ".index.jsonl.gz"
DIGEST_LENGTH = 32  # hex digits that are stored of a cut's digest: 128 bits


class Entry(NamedTuple):
    """Index entry of a cut: position of its targets, and checksums."""

    offset: int  # rows of the payload's tensor, or bytes of its lines
    length: int
    digest: str  # first 32 digits of the cut's digest, asrkd.data.cuts.records.cut_digest
    crc32: int  # checksum of the bytes of the targets


@dataclass(frozen=True)
class Payload:
    """Index line about the payload file."""

    num_bytes: int
    sha256: str  # hash of the file
    contract: str  # SHA-256 of the store's contract


def index_path(payload: Path) -> Path:
    """Return the path of the index of a payload file."""
    return payload.with_name(payload.name.split(".")[0] + SUFFIX)


def write_shard(
    path: Path, contract: str, write: Callable[[Path], None], entries: Iterable[tuple[str, Entry]]
) -> None:
    """Write a shard: the payload, then the index.

    Args:
        path: path of the payload.
        contract: digest of the store's contract.
        write: function that writes the payload to a path.
        entries: cut id and entry of each cut, in the payload's order.
    """
    with files.create_aside(path) as partial:
        write(partial)
        payload = Payload(partial.stat().st_size, files.sha256(partial), contract)
    write_index(path, payload, entries)


def write_index(path: Path, payload: Payload, entries: Iterable[tuple[str, Entry]]) -> None:
    """Write the index of the payload file ``path``: the payload, and cut id and entry of each cut."""
    rows = ({"id": cut_id} | entry._asdict() for cut_id, entry in entries)
    files.write_jsonl(index_path(path), _chain(asdict(payload), rows))


def is_whole(path: Path, contract: str) -> bool:
    """Return whether the shard with this payload file has its index and the right length.

    Raises:
        AsrkdError: the shard was made under another contract.
    """
    if not path.is_file() or not index_path(path).is_file():
        return False
    try:
        payload = read_payload(path)
    except AsrkdError:  # a torn index: the shard is written again
        return False
    if payload.contract != contract:
        raise AsrkdError(
            f"{path}: was made under another contract ({payload.contract[:12]}, expected "
            f"{contract[:12]}): it was copied from another store; {remove_shard(path)}"
        )
    return path.stat().st_size == payload.num_bytes


def read_payload(path: Path) -> Payload:
    """Read the index line about the payload file ``path``; AsrkdError if it is missing or broken."""
    for number, row in files.read_jsonl(index_path(path)):
        _check(index_path(path), number, row, fields.PAYLOAD)
        return Payload(row["num_bytes"], row["sha256"], row["contract"])
    raise _broken(index_path(path), 1, "it is empty")


def read_index(path: Path) -> Iterator[tuple[str, Entry]]:
    """Read the cut id and the entry of each cut in the payload file ``path``.

    Raises:
        AsrkdError: the index is missing or broken; the message names file and line.
    """
    index = index_path(path)
    for number, row in files.read_jsonl(index):
        if number > 1:
            _check(index, number, row, fields.ENTRY)
            yield row["id"], Entry(row["offset"], row["length"], row["digest"], row["crc32"])


def _check(index: Path, number: int, row: dict[str, Any], form: Schema[Any]) -> None:
    try:
        form.check(row)
    except ValueError as error:
        raise _broken(index, number, str(error)) from None


def _broken(index: Path, number: int, why: str) -> AsrkdError:
    return AsrkdError(f"{index}:{number}: broken ({why}); {_remove(index)}")


def remove_shard(payload: Path) -> str:
    """Return the end of a message: how to remove a shard and write it again by the store's command."""
    return _remove(payload, index_path(payload))


def _remove(*paths: Path) -> str:
    return f"remove it: {then(remove(*paths), remake_command(paths[0].parent))}"


def _chain(first: dict[str, Any], rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from rows
