"""Parts of unfinished shards: a kill or a stop costs seconds, not a shard.

A teacher may take minutes for a shard, the smallest work item of a store.
While a shard is unfinished, the outputs of its first cuts are saved in parts,
in the folder ``parts`` beside it::

    parts/shard-00003-of-00012.safetensors.000000-000016.part

Each part is whole or absent. Its first line holds the shard's key, the number
of its first cut, the length in bytes of the output of each cut, and the
SHA-256 of that line and of the outputs. A process on any machine that sees the
folder resumes the shard after the parts that join. A part that is torn or has
another key is removed. The parts of a finished shard are removed.

Parts end at batch boundaries, so that batches are the same wherever a run
resumes: after any cut where each is computed by itself, else after a whole
batch. The bytes of a shard do not depend on kills.

After a kill each process repeats at most 2 * PART_EVERY_S of computation, or
a single cut or batch if that takes longer.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from asrkd.core import files
from asrkd.core.shared_work import PARTS, part_every_s
from asrkd.core.task_monitor import TaskMonitor
from asrkd.targets.store.shards import Shard

WRITE_TRIES = 10  # of a part: other processes remove the folder when it is empty

# For each cut: its duration in seconds, and the serialized outputs that are complete with it; within a batch
# none, after its last cut those of the whole batch.
SerializedOutputs = Iterable[tuple[float, Sequence[bytes]]]


def make_shard(
    shard: Shard,
    monitor: TaskMonitor,
    compute: Callable[[Shard, int], SerializedOutputs],
    write: Callable[[Shard, Sequence[bytes]], None],
    gpu_batch: int = 1,
) -> None:
    """Compute the cuts of a shard that no part holds, and write it; save parts in time and at a stop.

    Args:
        shard: the shard to write; the order in which its cuts are computed is fixed.
        monitor: monitor that counts each cut, and is checked for a stop after it.
        compute: function of the shard and a cut's number that yields the outputs of this and all later cuts.
        write: function that writes the shard, given the outputs of all cuts in that order.
        gpu_batch: number of cuts that a GPU computes together; parts then end after a multiple of it.
    """
    batch = 1 if torch.device(shard.device).type == "cpu" else gpu_batch
    outputs = read_parts(shard)
    computed = saved = len(outputs)
    if saved:
        monitor.advance(saved, resumed=True)
    every_s, saved_at = part_every_s(), time.monotonic()
    for audio_s, complete in compute(shard, saved) if saved < shard.size else ():
        outputs += complete
        computed += 1
        monitor.advance(1, audio_s)
        if computed == shard.size:
            continue  # the last cut; lets the generator end
        stops, whole = monitor.must_stop(), len(outputs) - len(outputs) % batch
        if whole > saved and (stops or time.monotonic() - saved_at >= every_s):
            write_part(shard, saved, outputs[saved:whole])
            saved, saved_at = whole, time.monotonic()
        if stops:
            monitor.advance(saved - computed)  # cuts that are not saved are not done
            return
    write(shard, outputs)
    remove_parts(shard)


def read_parts(shard: Shard) -> list[bytes]:
    """Read the outputs of the first cuts of a shard from its parts; remove parts that do not join."""
    by_first: dict[int, tuple[Path, list[bytes]]] = {}
    for path in sorted(_folder(shard).glob(f"{shard.path.name}.*.part")):
        part = _read(path, shard.key)
        if part is None:
            _remove(path)
        else:
            by_first[part[0]] = path, part[1]  # of two with the same first cut the longer one, by its name
    outputs: list[bytes] = []
    while len(outputs) in by_first:
        outputs += by_first.pop(len(outputs))[1]
    for path, _ in by_first.values():
        _remove(path)
    return outputs


def write_part(shard: Shard, first: int, outputs: Sequence[bytes]) -> None:
    """Save the outputs of cuts of a shard, from number ``first`` on."""
    body = b"".join(outputs)
    header = {"key": shard.key, "first": first, "lengths": [len(output) for output in outputs]}
    header["sha256"] = _digest(header, body)
    name = f"{shard.path.name}.{first:06d}-{first + len(outputs):06d}.part"
    for left in reversed(range(WRITE_TRIES)):
        try:
            with files.create_bytes(_folder(shard) / name) as stream:
                stream.write(json.dumps(header).encode() + b"\n" + body)
            return
        except FileNotFoundError:
            # A process that finished another shard has just removed the empty folder. Where locks do not
            # work, another process may have finished this shard and removed its parts.
            if shard.is_done():
                return
            if not left:
                raise


def num_begun(out: Path) -> int:
    """Count the unfinished shards of the folder ``out`` that have parts."""
    return len({path.name.rsplit(".", 2)[0] for path in (out / PARTS).glob("*.part")})


def num_saved(shard: Shard) -> int:
    """Count the first cuts of a shard that parts hold by their names; no part is read or removed."""
    names = (path.name.split(".")[-2] for path in _folder(shard).glob(f"{shard.path.name}.*.part"))
    ends = {int(first): int(end) for first, end in (name.split("-") for name in sorted(names))}
    saved = 0
    while saved in ends:
        saved = ends.pop(saved)
    return saved


def remove_parts(shard: Shard) -> None:
    """Remove the parts of a shard, and their folder if it is empty then."""
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
    """Read (number of its first cut, outputs) of a part; None if it is torn, empty, or of another key."""
    try:
        line, body = path.read_bytes().split(b"\n", 1)
        header = json.loads(line)
        if header["key"] != key or header.pop("sha256") != _digest(header, body):
            return None
        return (int(header["first"]), _split(body, header["lengths"])) if header["lengths"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _digest(header: dict[str, Any], body: bytes) -> str:
    """Compute the SHA-256 of the header and the outputs of a part."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + b"\n" + body).hexdigest()


def _split(body: bytes, lengths: Sequence[int]) -> list[bytes]:
    """Split the body of a part into outputs; ValueError if their lengths do not add up."""
    ends = list(accumulate(lengths))
    if ends[-1] != len(body):
        raise ValueError("lengths do not add up")
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
