"""Costs of a few cuts, measured by the code that writes shards, in as many processes at once as the work has.

The cuts of a sample are evenly spaced by the ranks of their durations, so that
long ones and short ones are in it. Every process first writes a small shard
twice: the difference is its warm-up (loading of the model, of compiled code, of
libraries). When all processes are warm, each writes shards of some cuts until
the time is up, in a temporary folder.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lhotse import MonoCut

from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.cuts.records import records
from asrkd.targets.store.shards import Shard, ShardWriter, read_index, shard_name

MAX_CUTS = 2048  # of a sample
CUTS_PER_SHARD = 32  # of the shards that are measured; two batches of a search
WARM_UP_CUTS = 2
MAX_WAIT_S = 120.0  # for the other processes to be warm
POLL_S = 0.01


def spread_rows(durations: Sequence[float], count: int = MAX_CUTS) -> list[int]:
    """Return rows of cuts such that every beginning of the list is spread evenly over all durations.

    The k-th row has the rank whose share of all ranks is k with its bits reversed (van der Corput).

    Args:
        durations: durations of all cuts.
        count: number of rows; all if there are fewer.
    """
    ranked = sorted(range(len(durations)), key=lambda row: durations[row])
    bits = max(len(ranked) - 1, 0).bit_length()
    reversed_bits = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(1 << bits))
    places: dict[int, None] = {}
    for fraction in reversed_bits:
        if len(places) == min(count, len(ranked)):
            break
        places[fraction * len(ranked) >> bits] = None
    return [ranked[place] for place in places]


@dataclass(frozen=True)
class SampleTask:
    """Work of one process of a dry run."""

    number: int  # of the process, from 0
    processes: int
    folder: Path  # temporary, of all processes
    cuts: Sequence[MonoCut]  # in the order of the measurement
    shard: Shard  # any of the store: its model, device and suffix
    write: ShardWriter
    started_at: float  # time.monotonic() when the processes were begun
    budget_s: float


@dataclass(frozen=True)
class ShardCost:
    """Costs of a small shard."""

    audio_s: float
    compute_s: float
    write_s: float  # after the last cut
    path: Path  # of the payload


@dataclass
class ProcessCost:
    """Costs of a process: its start, its warm-up, and the shards that it measured."""

    begin_s: float
    warm_up_s: float = 0.0
    shards: list[ShardCost] = field(default_factory=list)


def measure_process(task: SampleTask, monitor: TaskMonitor) -> ProcessCost:
    """Measure the costs of a process; its shards stay in the folder of the task.

    Fewer cuts are measured where a stop is requested.
    """
    cost = ProcessCost(time.monotonic() - task.started_at)
    first = task.cuts[:WARM_UP_CUTS]
    cold, warm = (_write_shard(task, name, first) for name in ("cold", "warm"))
    cost.warm_up_s = max(0.0, _total_s(cold) - _total_s(warm))
    _wait_for_others(task)
    deadline = time.monotonic() + task.budget_s
    cut_s, done = _total_s(warm) / len(first), 0
    while done < len(task.cuts) and not monitor.must_stop():
        left_s = deadline - time.monotonic()
        if left_s <= 0 and done:
            break
        count = min(CUTS_PER_SHARD, max(1, int(left_s / cut_s)))
        cuts = task.cuts[done : done + count]
        cost.shards.append(_write_shard(task, f"{done:06d}", cuts))
        monitor.advance(len(cuts), cost.shards[-1].audio_s)
        cut_s, done = _total_s(cost.shards[-1]) / len(cuts), done + len(cuts)
    return cost


def _total_s(shard: ShardCost) -> float:
    return max(shard.compute_s + shard.write_s, 1e-6)


def _write_shard(task: SampleTask, name: str, cuts: Sequence[MonoCut]) -> ShardCost:
    """Write a shard by the store's writer, and measure the time to its last cut and after it."""
    folder = task.folder / f"{task.number}" / name
    path = folder / shard_name(0, 1, task.shard.path.suffix)
    marks = [time.monotonic()]
    watch = TaskMonitor(lambda _: marks.append(time.monotonic()), lambda: False)
    task.write(
        Shard(path, cuts, task.shard.model, task.shard.device, task.shard.request, indexed=True), watch
    )
    ended_at, audio_s = time.monotonic(), sum(record.duration for record in records(cuts))
    return ShardCost(audio_s, marks[-1] - marks[0], ended_at - marks[-1], path)


def _wait_for_others(task: SampleTask) -> None:
    """Wait until all processes are warm, so that they are measured side by side."""
    task.folder.mkdir(exist_ok=True)
    (task.folder / f"{task.number}.warm").touch()
    until = time.monotonic() + MAX_WAIT_S
    while len(list(islice(task.folder.glob("*.warm"), task.processes))) < task.processes:
        if time.monotonic() > until:
            break
        time.sleep(POLL_S)


def stored_lengths(shards: Sequence[ShardCost]) -> dict[str, int]:
    """Return the length of each measured cut in its payload, in rows or bytes, by id."""
    return {cut_id: entry.length for shard in shards for cut_id, entry in read_index(shard.path)}
