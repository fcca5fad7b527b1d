"""Shards of a list of cuts: what one process asks a model about, and the file it writes.

Shard boundaries follow from the list of cuts alone, and a shard is computed
whole by one process, so its bytes do not depend on jobs, order or kills.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lhotse import MonoCut

from asrkd.cut_records import records
from asrkd.targets.shard_index import is_whole


@dataclass(frozen=True)
class Shard:
    """A piece of work for a process: ask a model about some cuts, write a file."""

    path: Path
    cuts: Sequence[MonoCut]
    model: Path
    device: str
    contract: str | None = None  # digest of the store's contract; None: a file without an index

    @property
    def size(self) -> int:
        """Number of its cuts."""
        return len(self.cuts)

    @property
    def audio_s(self) -> float:
        """Seconds of its cuts."""
        return float(sum(record.duration for record in records(self.cuts)))

    def is_done(self) -> bool:
        """Whether it is there and whole; AsrkdError if it is of another store."""
        return self.path.is_file() if self.contract is None else is_whole(self.path, self.contract)


@dataclass(frozen=True)
class Asked:
    """Whom to ask, and how the work is divided."""

    model: Path
    device: str
    cuts_per_shard: int
    contract: str | None = None


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
            asked.contract,
        )
        for number, start in enumerate(starts)
    ]
