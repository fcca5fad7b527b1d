"""Shards that are kept as they grow: a kill or a stop costs seconds, not a shard.

A shard is the smallest piece of work that has a file in a finished store. A
teacher may take minutes for it, so while a shard is unfinished the answers
about its first cuts are kept in parts, in the folder ``parts`` beside it::

    parts/shard-00003-of-00012.safetensors.000000-000016.part

Each is whole or absent; its first line says which work it belongs to (the
shard's key), which cut is its first, how many bytes each answer has, and
the SHA-256 of all that and of the answers. Whoever takes up the shard, on any machine that sees the
folder, goes on behind the parts that join. One that is torn or of other work
is removed. When the shard has its name its parts go.

Parts end where the computation has a seam, so that what is computed together
is the same wherever a run begins: after any cut where each is run by itself,
else after a whole batch. The bytes of a shard do not depend on kills.

What is computed again after a kill took at most 2 * PART_EVERY_S in each
process, or as long as a single cut or batch if that takes longer.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.shared_work import PARTS, part_every_s
from asrkd.core.task_monitor import TaskMonitor
from asrkd.targets.store.shards import Shard

WRITE_TRIES = 10  # of a part: others remove the folder when it is empty

# For each cut that was asked about: its duration in seconds, and the answers that are final with it, none
# while a batch is computed, all of the batch after its last cut.
Answers = Iterable[tuple[float, Sequence[bytes]]]


def make_shard(
    shard: Shard,
    ask: Callable[[int], Answers],
    write: Callable[[Sequence[bytes]], None],
    monitor: TaskMonitor,
    batch: int = 1,
) -> None:
    """Ask about the cuts of a shard that no part holds, and write it; keep parts in time and at a stop.

    Args:
        shard: which; its cuts may be asked about in any order that is always the same.
        ask: gives the answers from the cut of this number on.
        write: writes the shard, given the answers about all cuts in that order.
        monitor: hears of each cut, and is asked for stops after each.
        batch: cuts that are run together; parts end after a multiple of it.
    """
    answers = read_parts(shard)
    asked = kept = len(answers)
    if kept:
        monitor.advance(kept, resumed=True)
    every_s, kept_at = part_every_s(), time.monotonic()
    for audio_s, final in ask(kept) if kept < shard.size else ():
        answers += final
        asked += 1
        monitor.advance(1, audio_s)
        if asked == shard.size:
            continue  # no more come; what asks may have a last word
        stops, whole = monitor.must_stop(), len(answers) - len(answers) % batch
        if whole > kept and (stops or time.monotonic() - kept_at >= every_s):
            write_part(shard, kept, answers[kept:whole])
            kept, kept_at = whole, time.monotonic()
        if stops:
            monitor.advance(kept - asked)  # what is not kept is not done
            return
    write(answers)
    remove_parts(shard)


def read_parts(shard: Shard) -> list[bytes]:
    """The answers that parts hold about the first cuts of a shard; parts that do not join are removed."""
    by_first: dict[int, tuple[Path, list[bytes]]] = {}
    for path in sorted(_folder(shard).glob(f"{shard.path.name}.*.part")):
        part = _read(path, shard.key)
        if part is None:
            _remove(path)
        else:
            by_first[part[0]] = path, part[1]  # of two that begin alike the longer one, by its name
    answers: list[bytes] = []
    while len(answers) in by_first:
        answers += by_first.pop(len(answers))[1]
    for path, _ in by_first.values():
        _remove(path)
    return answers


def write_part(shard: Shard, first: int, answers: Sequence[bytes]) -> None:
    """Keep the answers about the cuts of a shard from number ``first`` on."""
    body = b"".join(answers)
    header = {"key": shard.key, "first": first, "lengths": [len(answer) for answer in answers]}
    header["sha256"] = _digest(header, body)
    name = f"{shard.path.name}.{first:06d}-{first + len(answers):06d}.part"
    for left in reversed(range(WRITE_TRIES)):
        try:
            with files.create_bytes(_folder(shard) / name) as stream:
                stream.write(json.dumps(header).encode() + b"\n" + body)
            return
        except FileNotFoundError:
            # Whoever finished another shard has just removed the folder, as it was empty; where locks do not
            # work somebody may have finished this one, and removed what was being written for it.
            if shard.is_done():
                return
            if not left:
                raise


def num_begun(out: Path) -> int:
    """How many unfinished shards of the folder ``out`` have parts."""
    return len({path.name.rsplit(".", 2)[0] for path in (out / PARTS).glob("*.part")})


def remove_parts(shard: Shard) -> None:
    """Remove the parts of a shard, and the folder if nothing else is in it."""
    for path in _folder(shard).glob(f"{shard.path.name}.*"):
        _remove(path)
    with suppress(OSError):
        _folder(shard).rmdir()


def _folder(shard: Shard) -> Path:
    return shard.path.parent / PARTS


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _read(path: Path, key: str) -> tuple[int, list[bytes]] | None:
    """(number of its first cut, answers) of a part; None if it is torn, empty, or of other work."""
    try:
        line, body = path.read_bytes().split(b"\n", 1)
        header = json.loads(line)
        if header["key"] != key or header.pop("sha256") != _digest(header, body):
            return None
        return (int(header["first"]), _split(body, header["lengths"])) if header["lengths"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _digest(header: dict[str, Any], body: bytes) -> str:
    """SHA-256 of a part: of its answers and of where they belong."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + b"\n" + body).hexdigest()


def _split(body: bytes, lengths: Sequence[int]) -> list[bytes]:
    """The answers in the body of a part; ValueError if they do not fill it."""
    ends = list(accumulate(lengths))
    if ends[-1] != len(body):
        raise ValueError("lengths do not add up")
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
