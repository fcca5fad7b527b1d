"""Work on one folder that any number of processes share, joining and leaving at any time.

The work is a list of items, each with one or two files that are whole or
absent. A process takes items that are missing and whose lock is free
(:mod:`asrkd.core.locks`). An item has the same bytes whichever process writes
it, so an item that two processes write is harmless. The process that finds
nothing missing finishes the folder.
"""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from asrkd.core.errors import AsrkdError, counted, warn
from asrkd.core.locks import try_lock
from asrkd.core.parallel import run_tasks
from asrkd.core.progress import Meter, meter
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import Report, TaskMonitor

PART_EVERY_S = 10.0
PART_VARIABLE = "ASRKD_PART_EVERY_S"  # seconds in place of PART_EVERY_S, for tests and proofs
PARTS = "parts"  # folder beside the items for parts of unfinished ones
FEWER_JOBS, SMALLER_SHARDS = "fewer jobs", "--cuts-per-shard N or fewer jobs"  # against idle jobs
RETRY_S = 0.5  # between looks at items held by other processes
# Age of a partial file that a killed writer left. Without locks, a younger one may be in use.
LEFTOVER_S = 3600.0


class WorkItem(Protocol):
    """Picklable description of one item of the work."""

    @property
    def path(self) -> Path:
        """File or folder that identifies the item; its lock is in the folder ``locks`` beside it."""

    @property
    def size(self) -> int:
        """Number of units that the item counts in the progress."""

    def is_done(self) -> bool:
        """Return whether the item is on disk and whole."""


Item = TypeVar("Item", bound=WorkItem)


@dataclass(frozen=True)
class ShardOf:
    """Shard ``number`` (from 1) of the list of items, split into ``of``: every ``of``-th item."""

    number: int
    of: int

    def takes(self, index: int) -> bool:
        """Return whether the item of this index (from 0) is in the shard."""
        return index % self.of == self.number - 1


@dataclass(frozen=True)
class Workers:
    """Worker processes of one command: how many, on all items or on one shard of them."""

    jobs: int = 1
    shard_of: ShardOf | None = None  # None: all items


@dataclass(frozen=True)
class WorkResult:
    """Counts of the items of the work, after this command's share of it."""

    written: int  # items written by this process and its workers
    missing: int  # items that other shards still have to write
    total: int

    def text(self) -> str:
        """Return a human-readable line for work that other shards have to finish."""
        done = f"{self.total - self.missing} of {counted(self.total, 'shard')} done"
        return f"{done}; finish with the other --shard runs, or without --shard"


def warn_of_idle_jobs(num_shards: int, num_jobs: int, remedy: str) -> None:
    """Warn if there are more jobs than shards, which are the unit of their work.

    Args:
        num_shards: number of shards.
        num_jobs: number of processes, or of parts of ``--shard``.
        remedy: :data:`FEWER_JOBS`, or :data:`SMALLER_SHARDS` where the command has that option.
    """
    if num_jobs > num_shards:
        shards = counted(num_shards, "shard")
        warn(f"warning: {shards} for {num_jobs} jobs; {num_jobs - num_shards} will idle: use {remedy}")


def parse_shard_of(text: str | None) -> ShardOf | None:
    """Parse the ``K/N`` of ``--shard``; None stays None.

    Raises:
        AsrkdError: not of that form, or K is not within 1 to N.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise AsrkdError(f"--shard {text}: expected K/N with K from 1 to N, as in --shard 1/4")
    return ShardOf(int(match[1]), int(match[2]))


def work(
    label: str,
    items: Sequence[Item],
    make: Callable[[Item, TaskMonitor], None],
    workers: Workers,
    stop: StopRequest,
    *,
    idle_remedy: str = "",
) -> WorkResult:
    """Write the missing items, or those of the workers' shard, and wait for those held by other processes.

    Args:
        label: title of the progress.
        items: all items, in the same order in every process.
        make: function that writes one item and reports finished units. When its monitor requests a stop,
            it saves what it has and returns before the item is done. Importable by worker processes.
        workers: number of processes, and shard of the items.
        stop: request to stop, checked between items, by ``make`` within an item, and while waiting.
        idle_remedy: remedy in a warning if there are more jobs than items; no warning if empty.

    Raises:
        StoppedInTime: a stop was requested; finished items stay, and what ``make`` saved of others.
        AsrkdError: ``workers.jobs`` is below 1, a worker died, or an item cannot be written; finished
            items stay.
    """
    shard = workers.shard_of
    selected = [item for index, item in enumerate(items) if shard is None or shard.takes(index)]
    missing = free = [item for item in selected if not item.is_done()]
    if idle_remedy and (missing or not selected):
        warn_of_idle_jobs(len(items), max(workers.jobs, shard.of if shard else 1), idle_remedy)
    if not selected:
        return _result(0, items, shard)
    total, num_written = sum(item.size for item in selected), 0
    done = total - sum(item.size for item in missing)
    with meter(label, total, "cuts", done, heartbeat=bool(missing)) as progress:
        watch = _Watch(progress, stop)

        def check() -> None:
            if progress.done < total:
                stop.check(f"{selected[0].path.parent}: {progress.done} of {total} cuts are done")

        while missing:
            written = set()
            for item, _ in run_tasks(make, free, jobs=workers.jobs, watch=watch, hold=_hold):
                if item.is_done():
                    written.add(item.path)
                    watch.finish(item)
            num_written += len(written)
            missing = _still_missing([item for item in missing if item.path not in written], watch.finish)
            check()
            free = [item for item in missing if _is_free(item)]
            if missing and not free:
                time.sleep(RETRY_S)
    return _result(num_written, items, shard)


def _result(num_written: int, items: Sequence[Item], shard: ShardOf | None) -> WorkResult:
    """Count the items that are left to other shards; sweep up where there are none."""
    left = sum(not item.is_done() for item in items) if shard else 0
    if not left:
        for folder in {item.path.parent for item in items}:
            _sweep(folder)
    return WorkResult(num_written, left, len(items))


class _Watch:
    """Counter of each item's units: a unit counts once, whichever process finished it."""

    def __init__(self, progress: Meter, stop: StopRequest) -> None:
        self._progress, self._stop = progress, stop
        self._counted: Counter[Path] = Counter()

    def advance(self, item: WorkItem, report: Report) -> None:
        """Count finished units of an item."""
        self._counted[item.path] += report.units
        self._progress.advance(report.units, audio_s=report.audio_s, resumed=report.resumed)

    def finish(self, item: WorkItem) -> None:
        """Count the units of a finished item that were not reported."""
        if rest := item.size - self._counted[item.path]:
            self.advance(item, Report(rest))

    def must_stop(self) -> bool:
        """Return whether a stop was requested."""
        return self._stop.reason() is not None


def _still_missing(items: Sequence[Item], finish: Callable[[Item], None]) -> list[Item]:
    """Return the items that are not done yet; call ``finish`` with those that other processes wrote."""
    missing = []
    for item in items:
        if item.is_done():
            finish(item)
        else:
            missing.append(item)
    return missing


@contextmanager
def _hold(item: WorkItem) -> Iterator[bool]:
    """Hold an item in the block; yield whether this process may write it: not done, nor held by another."""
    with try_lock(_lock_path(item)) as is_held:
        yield is_held and not item.is_done()


def _sweep(folder: Path) -> None:
    """Remove the files of killed writers from a folder whose items are all done and not locked."""
    for path in (folder / "locks").glob("*.lock"):
        with try_lock(path):  # the lock file of a killed holder is removed with the block
            pass
    if not (folder / "locks").exists():
        shutil.rmtree(folder / PARTS, ignore_errors=True)  # of items that are whole by now
        for leftover in [*folder.glob("shard-*.partial*"), *folder.glob(".tmp*")]:  # .tmp*: of safetensors
            with suppress(OSError):  # removed by another process
                if time.time() - leftover.stat().st_mtime > LEFTOVER_S and leftover.is_file():
                    leftover.unlink()


def _is_free(item: WorkItem) -> bool:
    with try_lock(_lock_path(item)) as is_held:
        return is_held


def _lock_path(item: WorkItem) -> Path:
    return item.path.parent / "locks" / f"{item.path.name}.lock"


def part_every_s() -> float:
    """Return the seconds between two parts of an unfinished item.

    Raises:
        AsrkdError: the environment variable is not a number.
    """
    text = os.environ.get(PART_VARIABLE)
    try:
        return PART_EVERY_S if text is None else float(text)
    except ValueError:
        raise AsrkdError(
            f"{PART_VARIABLE}={text}: expected seconds; unset it: unset {PART_VARIABLE}"
        ) from None
