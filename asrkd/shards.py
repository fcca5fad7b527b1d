"""Shards of a list of cuts: what one process asks a model about, and the file it writes.

Shard boundaries follow from the list of cuts alone, and within a shard cuts are
run in one order and in the same batches wherever a run begins (see
:mod:`asrkd.shard_parts`), so its bytes do not depend on jobs, order or kills.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lhotse import MonoCut

from asrkd import files
from asrkd.cut_records import cuts_digest
from asrkd.targets.shard_index import is_whole
from asrkd.task_monitor import TaskMonitor


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


@dataclass(frozen=True)
class Asked:
    """Whom to ask, and how the work is divided."""

    model: Path
    device: str
    cuts_per_shard: int
    request: str = ""
    indexed: bool = False


def shard_name(number: int, total: int, suffix: str) -> str:
    """File name of shard ``number`` of ``total``, counted from 0."""
    return f"shard-{number:05d}-of-{total:05d}{suffix}"


def plan(folder: Path, cuts: Sequence[MonoCut], asked: Asked, suffix: str) -> list[Shard]:
    """All shards of ``cuts``, present or not; their files lie in ``folder`` and end in ``suffix``."""
    starts = range(0, len(cuts), asked.cuts_per_shard)
    return [
        Shard(
            folder / shard_name(number, len(starts), suffix),
            cuts[start : start + asked.cuts_per_shard],
            asked.model,
            asked.device,
            asked.request,
            asked.indexed,
        )
        for number, start in enumerate(starts)
    ]
