"""Dry run of a store: bytes and time of its missing shards.

The time is that of the start (imports, teacher, cuts), of the slowest process
(its start and warm-up, its shards), and of the end, where all indexes are read
again, and N-best lists.
"""

import heapq
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.dry_run import BUDGET_S, DryRun, block, listed, size_text, time_text
from asrkd.commands.dry_run_bytes import Bytes, predicted_lengths, store_bytes
from asrkd.commands.dry_run_costs import (
    ProcessCost,
    SampleTask,
    ShardCost,
    measure_process,
    spread_rows,
    stored_lengths,
)
from asrkd.core import output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import counted
from asrkd.core.output_folder import State
from asrkd.core.parallel import run_tasks
from asrkd.core.progress import Meter, meter
from asrkd.core.shared_work import ShardOf
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import Report
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import records
from asrkd.targets.store.building import StorePlan, under_existing_contract
from asrkd.targets.store.nbest import parse_nbest_line
from asrkd.targets.store.shard_parts import num_saved
from asrkd.targets.store.shards import (
    Shard,
    ShardWriter,
    read_index,
    read_payload,
)


@dataclass(frozen=True)
class Seconds:
    """Seconds of the parts of a command, one after another."""

    opening: float  # imports, teacher, cuts
    start: float  # of the slowest process: its start and warm-up
    work: float  # of the process with most work
    closing: float
    per_audio_s: float  # seconds of one process for a second of audio

    @property
    def total(self) -> float:
        """All of them."""
        return self.opening + self.start + self.work + self.closing


@dataclass(frozen=True)
class StoreEstimate:
    """Estimate of what a command has left to do."""

    left: Sequence[Shard]
    total: int  # shards of the store
    num_cuts: int  # left, without those in parts
    audio_s: float
    measured: int  # cuts
    bytes: Bytes
    bytes_per_hour: float  # of audio
    seconds: Seconds


def dry_run_store(request: DistillRequest, plan: StorePlan, write: ShardWriter, stop: StopRequest) -> str:
    """Measure some cuts, and return what the command would write and how long it would take.

    Args:
        request: the request, with a dry run.
        plan: plan of the store.
        write: function that writes a shard.
        stop: request to stop.

    Raises:
        AsrkdError: the folder holds something else, or a cut cannot be read.
        StoppedInTime: a stop was requested.
    """
    plan = under_existing_contract(plan)
    state = output_folder.survey(plan.out, CONTRACT, plan.contract)
    planned = plan.shards(plan.digest)
    left = _missing(planned, request.shard_of, _of(request).tasks)
    if not left:
        return f"{plan.out}: dry run: {_nothing_left(request, state)}"
    return _text(request, plan, _estimated(request, plan, left, len(planned), state, write, stop))


def _nothing_left(request: DistillRequest, state: State) -> str:
    if state is State.COMPLETE:
        return "already complete, nothing to do"
    is_part = request.shard_of is not None and not _of(request).tasks
    return (
        "no shard of this part is left, nothing to do" if is_part else "all shards are written, not the stamp"
    )


def _missing(planned: Sequence[Shard], share: ShardOf | None, tasks: int) -> list[Shard]:
    """Select the shards that are left of a share; of ``tasks`` jobs those of the one that has most left."""
    missing = [(row, shard) for row, shard in enumerate(planned) if not shard.is_done()]
    if not tasks:
        return [shard for row, shard in missing if share is None or share.takes(row)]
    jobs = [ShardOf(number, tasks) for number in range(1, min(tasks, len(planned)) + 1)]
    return max(([shard for row, shard in missing if job.takes(row)] for job in jobs), key=len)


def _estimated(
    request: DistillRequest,
    plan: StorePlan,
    left: Sequence[Shard],
    total: int,
    state: State,
    write: ShardWriter,
    stop: StopRequest,
) -> StoreEstimate:
    dry_run = _of(request)
    opening_s = time.monotonic() - dry_run.started_at
    cuts = [record for shard in left for record in records(shard.cuts)]
    pending = [list(records(shard.cuts))[num_saved(shard) :] for shard in left]
    pending_s = [sum(record.duration for record in of_shard) for of_shard in pending]
    processes = dry_run.side_by_side or min(request.jobs, len(left))
    with tempfile.TemporaryDirectory(prefix="asrkd-dry-run-") as name:
        costs = _measured(Path(name), left, processes, write, stop)
        shards = [shard for cost in costs for shard in cost.shards]
        lengths = stored_lengths(shards)
        predicted = predicted_lengths(plan.contract, lengths, cuts)
        num_bytes = store_bytes(plan, state, Path(name), left, shards, predicted)
        finishes = not dry_run.tasks and request.shard_of is None
        closing_s = _closing_s(plan, shards) * len(plan.cuts) if finishes else 0.0
    workers = 1 if dry_run.tasks else processes
    return StoreEstimate(
        left=left,
        total=total,
        num_cuts=sum(map(len, pending)),
        audio_s=sum(pending_s),
        measured=len(lengths),
        bytes=num_bytes,
        bytes_per_hour=3600 * num_bytes.total / sum(record.duration for record in cuts),
        seconds=_seconds(costs, pending_s, workers, opening_s, closing_s),
    )


def _seconds(
    costs: Sequence[ProcessCost], audio_s: Sequence[float], workers: int, opening_s: float, closing_s: float
) -> Seconds:
    """Add up the seconds of shards of so much audio, of which each process takes the next one when free."""
    shards = [shard for cost in costs for shard in cost.shards]
    rate = sum(shard.compute_s for shard in shards) / sum(shard.audio_s for shard in shards)
    write_s = sum(shard.write_s for shard in shards) / len(shards)
    begin_s = max(cost.begin_s for cost in costs) if workers > 1 else 0.0
    return Seconds(
        opening=opening_s,
        start=begin_s + max(cost.warm_up_s for cost in costs),
        work=longest_process([rate * of_shard + write_s for of_shard in audio_s], workers),
        closing=closing_s,
        per_audio_s=rate,
    )


def _of(request: DistillRequest) -> DryRun:
    assert request.dry_run is not None
    return request.dry_run


class _Watch:
    def __init__(self, progress: Meter, stop: StopRequest) -> None:
        self._progress, self._stop = progress, stop

    def advance(self, task: SampleTask, report: Report) -> None:
        self._progress.advance(report.units, audio_s=report.audio_s)

    def must_stop(self) -> bool:
        return self._stop.reason() is not None


def _measured(
    folder: Path, left: Sequence[Shard], processes: int, write: ShardWriter, stop: StopRequest
) -> list[ProcessCost]:
    """Measure cuts of the missing shards in ``processes`` at once."""
    places = [(shard, row) for shard in left for row in range(shard.size)]
    durations = [record.duration for shard in left for record in records(shard.cuts)]
    chosen = [places[row] for row in spread_rows(durations)]
    cuts = [shard.cuts[row] for shard, row in chosen]
    shares = [PackedCuts(cuts[number::processes] or cuts) for number in range(processes)]
    begun = time.monotonic()
    tasks = [
        SampleTask(number, processes, folder, share, left[0], write, begun, BUDGET_S)
        for number, share in enumerate(shares)
    ]
    with meter("dry run", sum(map(len, shares)), "cuts", heartbeat=True) as progress:
        watch = _Watch(progress, stop)
        costs = [cost for _, cost in run_tasks(measure_process, tasks, jobs=processes, watch=watch)]
    stop.check("a dry run writes nothing")
    return costs


def longest_process(shard_s: Sequence[float], processes: int) -> float:
    """Return the seconds until the last of some processes has ended, each taking the next shard when free."""
    busy = [0.0] * processes
    for seconds in shard_s:
        heapq.heapreplace(busy, busy[0] + seconds)
    return max(busy)


def _closing_s(plan: StorePlan, shards: Sequence[ShardCost]) -> float:
    """Measure the seconds for a cut at the end: its index is read, and N-best lists are for their errors."""
    begun, num_cuts = time.monotonic(), 0
    for shard in shards:
        read_payload(shard.path)
        num_cuts += sum(1 for _ in read_index(shard.path))
        if plan.contract["kind"] == "nbest":
            for line in shard.path.read_bytes().splitlines():
                parse_nbest_line(line)
    return (time.monotonic() - begun) / num_cuts


def _text(request: DistillRequest, plan: StorePlan, estimate: StoreEstimate) -> str:
    num_bytes, seconds, tasks = estimate.bytes, estimate.seconds, _of(request).tasks
    head = f"{plan.out}: dry run, nothing is written; {counted(estimate.measured, 'cut')} measured"
    of_all = "" if len(estimate.left) == estimate.total else f"{len(estimate.left)} of "
    shards, cuts = counted(estimate.total, "shard"), counted(estimate.num_cuts, "cut")
    work = f"{of_all}{shards}, {cuts}, {estimate.audio_s / 3600:.3g} h of audio"
    sizes = {
        "payload": size_text(num_bytes.payload),
        "indexes": size_text(num_bytes.index),
        "contract, sources, stamp": size_text(num_bytes.others),
    }
    per_hour = size_text(estimate.bytes_per_hour)
    share = f"--shard {request.shard_of.number}/{request.shard_of.of}" if request.shard_of else ""
    of_whom = f"one of {counted(tasks, 'job')}" if tasks else f"{share} --jobs {request.jobs}".strip()
    times = {
        "opening": time_text(seconds.opening),
        "start of a process": time_text(seconds.start),
        "longest process": time_text(seconds.work),
        "end": time_text(seconds.closing),
    }
    rate = f"{time_text(3600 * seconds.per_audio_s)} an hour of audio and process"
    return block(
        head,
        [
            ("left", work),
            ("disk", f"{size_text(num_bytes.total)} ({listed(sizes)}), {per_hour} an hour of audio"),
            ("time", f"{time_text(seconds.total)} with {of_whom}, {rate} on {plan.device}"),
            ("", f"({listed(times)})"),
        ],
    )
