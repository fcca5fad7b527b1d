"""Work that any number of processes share on one folder, joining and leaving as they like.

The work is a list of pieces, each with a file (or two) of its own that is
whole or absent. A process takes pieces that are missing and that nobody
holds: holding is a lock which goes with its holder, however that ends. What
two processes did twice is harmless, as a piece has the same bytes whoever
makes it. Whoever finds that nothing is missing finishes the folder.
"""

import errno
import fcntl
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol, TypeVar

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import run_tasks
from asrkd.core.progress import Meter, meter
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import Report, TaskMonitor

PART_EVERY_S = 10.0
PART_VARIABLE = "ASRKD_PART_EVERY_S"  # seconds in its place, for tests and proofs
PARTS = "parts"  # folder beside the pieces for what makers keep of unfinished ones
LOOK_AGAIN_S = 0.5  # for pieces that are in other hands
# A file without its name that nobody wrote to for so long is a killed writer's. Where locks do not
# work a younger one may be somebody's who makes the same piece.
LEFTOVER_S = 3600.0


class WorkItem(Protocol):
    """A piece of work, picklable."""

    @property
    def path(self) -> Path:
        """The file by which it is known; its lock lies in the folder ``locks`` beside it."""

    @property
    def size(self) -> int:
        """How many units it counts for in the progress."""

    def is_done(self) -> bool:
        """Whether it is there and whole."""


P = TypeVar("P", bound=WorkItem)


@dataclass(frozen=True)
class ShardOf:
    """Part ``number`` (from 1) of ``of``: the pieces whose index leaves that remainder."""

    number: int
    of: int

    def takes(self, index: int) -> bool:
        """Whether the piece of this index (from 0) is in the part."""
        return index % self.of == self.number - 1


@dataclass(frozen=True)
class Workers:
    """Who works: so many processes here, on all of the work or on a part of it."""

    jobs: int = 1
    part: ShardOf | None = None


@dataclass(frozen=True)
class WorkResult:
    """What came of it."""

    made: int  # pieces, by this process and its workers
    missing: int  # pieces that are still to be made, by other parts
    total: int

    def text(self) -> str:
        """For a person, where something is missing."""
        return f"{self.total - self.missing} of {self.total} shards are there, the rest is for other parts"


def parse_shard_of(text: str | None) -> ShardOf | None:
    """The part that ``--shard K/N`` names; None stays None.

    Raises:
        AsrkdError: it is not of that form, or K is not within 1 to N.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise AsrkdError(f"--shard {text}: expected K/N with K from 1 to N, as in --shard 1/4")
    return ShardOf(int(match[1]), int(match[2]))


def work(
    label: str,
    pieces: Sequence[P],
    make: Callable[[P, TaskMonitor], None],
    crew: Workers,
    stop: StopRequest,
) -> WorkResult:
    """Make the pieces that are missing, or those of the crew's part, and wait for those in other hands.

    Args:
        label: what is being done, for the progress.
        pieces: all of them, in the same order for everybody.
        make: makes one and reports its units as they are finished; if its monitor says so it saves what it
            has and returns before the piece is done; importable by worker processes.
        crew: who works, on what.
        stop: asked between pieces, by makers within one, and while waiting.

    Raises:
        StoppedInTime: asked to stop; the pieces that are finished stay, and what ``make`` saved of others.
        AsrkdError: no processes are wanted, a worker died, or a piece cannot be
            made; what was finished stays.
    """
    own = [piece for index, piece in enumerate(pieces) if crew.part is None or crew.part.takes(index)]
    missing = free = [piece for piece in own if not piece.is_done()]
    total, made = sum(piece.size for piece in own), 0
    done = total - sum(piece.size for piece in missing)
    with meter(label, total, "cuts", done, says_it_works=bool(missing)) as shown:
        watch = _Watch(shown, stop)

        def check() -> None:
            if shown.done < total:
                stop.check(f"{own[0].path.parent}: {shown.done} of {total} cuts are done")

        while missing:
            taken = set()
            for piece, is_made in run_tasks(partial(_take, make=make), free, jobs=crew.jobs, watch=watch):
                if is_made:
                    taken.add(piece.path)
                    watch.finish(piece)
            made += len(taken)
            missing = _still_missing([piece for piece in missing if piece.path not in taken], watch.finish)
            check()
            free = [piece for piece in missing if _is_free(piece)]
            if missing and not free:
                time.sleep(LOOK_AGAIN_S)
    left = sum(not piece.is_done() for piece in pieces) if crew.part else 0
    if not left:
        for folder in {piece.path.parent for piece in pieces}:
            _sweep(folder)
    return WorkResult(made, left, len(pieces))


class _Watch:
    """What the progress has counted of each piece: a unit counts once, whoever finished it and when."""

    def __init__(self, shown: Meter, stop: StopRequest) -> None:
        self._shown, self._stop = shown, stop
        self._counted: Counter[Path] = Counter()

    def advance(self, piece: WorkItem, report: Report) -> None:
        """Count units of a piece."""
        self._counted[piece.path] += report.units
        self._shown.advance(report.units, audio_s=report.audio_s, resumed=report.resumed)

    def finish(self, piece: WorkItem) -> None:
        """Count what was not reported of a piece that is there now."""
        if rest := piece.size - self._counted[piece.path]:
            self.advance(piece, Report(rest))

    def must_stop(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.reason() is not None


def _still_missing(pieces: Sequence[P], finish: Callable[[P], None]) -> list[P]:
    """Those that nobody has made yet; ``finish`` is called with those that others made."""
    missing = []
    for piece in pieces:
        if piece.is_done():
            finish(piece)
        else:
            missing.append(piece)
    return missing


def _take(piece: P, monitor: TaskMonitor, make: Callable[[P, TaskMonitor], None]) -> bool:
    """Make a piece unless somebody holds it or has made it; whether it is there by this call."""
    with try_lock(_lock(piece)) as ours:
        if not ours or piece.is_done():
            return False
        make(piece, monitor)
        return piece.is_done()


def _sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder whose pieces are all there and that nobody works in."""
    for lock in (folder / "locks").glob("*.lock"):
        with try_lock(lock):  # a killed holder's goes with the block
            pass
    if not (folder / "locks").exists():
        shutil.rmtree(folder / PARTS, ignore_errors=True)  # of pieces that are whole by now
        for leftover in [*folder.glob("shard-*.partial*"), *folder.glob(".tmp*")]:  # safetensors' are these
            with suppress(OSError):  # somebody else swept it
                if time.time() - leftover.stat().st_mtime > LEFTOVER_S and leftover.is_file():
                    leftover.unlink()


def _is_free(piece: WorkItem) -> bool:
    with try_lock(_lock(piece)) as ours:
        return ours


def _lock(piece: WorkItem) -> Path:
    return piece.path.parent / "locks" / f"{piece.path.name}.lock"


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock within the block, if nobody holds it; whether it is held.

    It goes when the process ends, however it ends, and its file with the
    block. On a file system without locks everybody gets it.

    Args:
        path: of the file that stands for it.
    """
    with _open(path) as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                yield False
                return
            if error.errno not in files.NO_LOCKS:
                raise
        try:
            yield True
        finally:
            # Whoever has this file open but not the lock will make the piece twice at worst.
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()  # the last one out


def _open(path: Path) -> IO[str]:
    while True:
        files.make_folder(path.parent)
        try:
            return path.open("w")
        except FileNotFoundError:  # the last one out has just removed the folder
            continue


def part_every_s() -> float:
    """Seconds between two parts of unfinished work; AsrkdError if the environment has no number for it."""
    text = os.environ.get(PART_VARIABLE)
    try:
        return PART_EVERY_S if text is None else float(text)
    except ValueError:
        raise AsrkdError(
            f"{PART_VARIABLE}={text}: expected seconds; unset it: unset {PART_VARIABLE}"
        ) from None
