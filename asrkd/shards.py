"""Work on a list of cuts in shards: the missing ones, by any number of processes, each file whole.

Shard boundaries follow from the list of cuts alone, and a shard is computed
whole by one process, so its bytes do not depend on jobs, order or kills.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lhotse import MonoCut

from asrkd.parallel import run_tasks
from asrkd.progress import meter
from asrkd.stopping import StopRequest


@dataclass(frozen=True)
class Shard:
    """A piece of work for a process: ask a model about some cuts, write a file."""

    path: Path
    cuts: tuple[MonoCut, ...]
    model: Path
    device: str


@dataclass(frozen=True)
class Asked:
    """Whom to ask, and how the work is divided."""

    model: Path
    device: str
    cuts_per_shard: int
    jobs: int


def shard_name(number: int, total: int, suffix: str) -> str:
    """File name of shard ``number`` of ``total``, counted from 0."""
    return f"shard-{number:05d}-of-{total:05d}{suffix}"


def plan(folder: Path, cuts: Sequence[MonoCut], asked: Asked, suffix: str) -> list[Shard]:
    """All shards of ``cuts``, present or not; their files lie in ``folder`` and end in ``suffix``."""
    starts = range(0, len(cuts), asked.cuts_per_shard)
    return [
        Shard(
            folder / shard_name(number, len(starts), suffix),
            tuple(cuts[start : start + asked.cuts_per_shard]),
            asked.model,
            asked.device,
        )
        for number, start in enumerate(starts)
    ]


def fill(
    label: str, shards: Sequence[Shard], write: Callable[[Shard], None], jobs: int, stop: StopRequest
) -> int:
    """Write the shards that are missing; how many were written.

    Args:
        label: what is being done, for the progress.
        shards: all of them.
        write: makes one; importable by worker processes.
        jobs: processes.
        stop: asked between shards.

    Raises:
        StoppedInTime: asked to stop; the shards that are finished stay.
    """
    missing = [shard for shard in shards if not shard.path.is_file()]
    total = sum(len(shard.cuts) for shard in shards)
    done = total - sum(len(shard.cuts) for shard in missing)
    with meter(label, total, "cuts", done) as shown:
        for shard, _ in run_tasks(write, missing, jobs=jobs):
            shown.advance(len(shard.cuts), audio_s=sum(cut.duration for cut in shard.cuts))
            if shown.done < total:
                stop.check(f"{shard.path.parent}: {shown.done} of {total} cuts are done")
    return len(missing)
