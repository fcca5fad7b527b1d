"""Shards of a store: their boundaries in the list of cuts, their files, and the index of each.

Shard boundaries follow from the list of cuts alone, and within a shard cuts are
run in one order and in the same batches wherever a run begins (see
:mod:`asrkd.targets.store.shard_parts`), so its bytes do not depend on jobs, order or kills.

Beside the payload ``shard-00000-of-00012.safetensors`` (or ``.jsonl``) lies
``shard-00000-of-00012.index.jsonl.gz``: a line about the payload, then a line
a cut. The index is written last, so a shard is there if its index is and the
payload has the length that it says; the digest of the contract in it tells a
shard that was carried here from another store."""

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
    """A piece of work for a process: ask a model about some cuts, write a file."""

    path: Path
    cuts: Sequence[MonoCut]
    model: Path
    device: str
    request: str = ""  # digest of all that decides the answers: of a store its contract's
    indexed: bool = False  # an index lies beside the file, and names the request

    @property
    def size(self) -> int:
        """Number of its cuts."""
        return len(self.cuts)

    @property
    def key(self) -> str:
        """Digest of what decides its file: the request, its cuts, its place among the shards."""
        return files.sha256_of([self.request, self.path.name, cuts_digest(self.cuts)])

    def is_done(self) -> bool:
        """Whether it is there and whole; AsrkdError if it is of another store."""
        return is_whole(self.path, self.request) if self.indexed else self.path.is_file()


# Writes a shard, or keeps parts of it if the monitor wants a stop; importable by worker processes.
ShardWriter = Callable[[Shard, TaskMonitor], None]


def shard_name(number: int, total: int, suffix: str) -> str:
    """File name of shard ``number`` of ``total``, counted from 0."""
    return f"shard-{number:05d}-of-{total:05d}{suffix}"


def split_cuts(
    folder: Path, cuts: Sequence[MonoCut], cuts_per_shard: int, suffix: str
) -> Iterator[tuple[Path, Sequence[MonoCut]]]:
    """Yield the payload file and the cuts of each shard.

    Args:
        folder: of the files.
        cuts: of all shards, in order.
        cuts_per_shard: of each but the last, at least 1.
        suffix: of the files.
    """
    starts = range(0, len(cuts), cuts_per_shard)
    for number, start in enumerate(starts):
        yield folder / shard_name(number, len(starts), suffix), cuts[start : start + cuts_per_shard]


SUFFIX = ".index.jsonl.gz"
DIGEST_LENGTH = 32  # hex digits of a cut's digest that are kept: 128 bits


class Entry(NamedTuple):
    """Where the answer for a cut is, and how to know it."""

    offset: int  # rows of the payload's tensor, or bytes of its lines
    length: int
    digest: str  # of the cut, see asrkd.data.cuts.records.cut_digest, its first 32 digits
    crc32: int  # of the answer's bytes


@dataclass(frozen=True)
class Payload:
    """What the index says of the file beside it."""

    num_bytes: int
    sha256: str  # of the file
    contract: str  # SHA-256 of the contract that it was made under


def index_path(payload: Path) -> Path:
    """Where the index of a payload file lies."""
    return payload.with_name(payload.name.split(".")[0] + SUFFIX)


def write_shard(
    path: Path, contract: str, write: Callable[[Path], None], entries: Iterable[tuple[str, Entry]]
) -> None:
    """Write a shard: the payload, then the index.

    Args:
        path: of the payload.
        contract: digest of the store's contract.
        write: writes the payload to the path that it is given.
        entries: cut id and entry of each answer, in the payload's order.
    """
    with files.create_aside(path) as partial:
        write(partial)
        payload = Payload(partial.stat().st_size, files.sha256(partial), contract)
    rows = ({"id": cut_id} | entry._asdict() for cut_id, entry in entries)
    files.write_jsonl(index_path(path), _chain(asdict(payload), rows))


def is_whole(path: Path, contract: str) -> bool:
    """Whether the shard with this payload file is there, of the right length, and of this contract.

    Raises:
        AsrkdError: it was made under another contract.
    """
    if not path.is_file() or not index_path(path).is_file():
        return False
    try:
        payload = read_payload(path)
    except AsrkdError:  # a torn index: the shard is made anew
        return False
    if payload.contract != contract:
        raise AsrkdError(
            f"{path}: was made under another contract ({payload.contract[:12]}, this store's is "
            f"{contract[:12]}), so it was carried here; {remove_shard(path)}"
        )
    return path.stat().st_size == payload.num_bytes


def read_payload(path: Path) -> Payload:
    """What the index says of the payload file ``path``; AsrkdError if it is missing or broken."""
    for number, row in files.read_jsonl(index_path(path)):
        _check(index_path(path), number, row, fields.PAYLOAD)
        return Payload(row["num_bytes"], row["sha256"], row["contract"])
    raise _broken(index_path(path), 1, "it is empty")


def read_index(path: Path) -> Iterator[tuple[str, Entry]]:
    """Cut id and entry of each answer in the payload file ``path``.

    Raises:
        AsrkdError: the index is missing or broken; file and line are named.
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
    """The end of a message about a shard to be removed; the store's command makes the same one anew."""
    return _remove(payload, index_path(payload))


def _remove(*paths: Path) -> str:
    return f"remove it: {then(remove(*paths), remake_command(paths[0].parent))}"


def _chain(first: dict[str, Any], rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from rows
