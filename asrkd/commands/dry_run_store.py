"""Dry run of a store: bytes and time of its missing shards.

Lengths of targets over frames follow from the contract's length rule; those of
N-best lists from a linear fit to the durations and transcripts of measured
cuts. Indexes are written with these lengths, the small files with their
contents, so that they are counted as they will be.

The time is that of the start (imports, teacher, cuts), of the slowest process
(its start and warm-up, its shards), and of the end, where all indexes are read
again, and N-best lists.
"""

import heapq
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.dry_run import BUDGET_S, DryRun, block, listed, size_text, time_text
from asrkd.commands.dry_run_costs import (
    ProcessCost,
    SampleTask,
    ShardCost,
    measure_process,
    spread_rows,
    stored_lengths,
)
from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import counted
from asrkd.core.output_folder import State
from asrkd.core.parallel import run_tasks
from asrkd.core.progress import Meter, meter
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import Report
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import CutRecord, records
from asrkd.models.frame_timing import expected_frames
from asrkd.targets.store.arrays import read_layouts
from asrkd.targets.store.building import StorePlan, under_existing_contract
from asrkd.targets.store.nbest import parse_nbest_line
from asrkd.targets.store.provenance import sources_record
from asrkd.targets.store.shard_parts import num_saved
from asrkd.targets.store.shards import (
    DIGEST_LENGTH,
    Entry,
    Payload,
    Shard,
    ShardWriter,
    index_path,
    read_index,
    read_payload,
    write_index,
)

MIN_FITTED = 12  # measured cuts for a fit of several coefficients
MAX_INDEXES = 20  # shards, evenly spaced, whose indexes are written


@dataclass(frozen=True)
class Bytes:
    """Bytes that are to be written."""

    payload: float
    index: float
    others: int  # contract, sources, stamp

    @property
    def total(self) -> float:
        """All of them."""
        return self.payload + self.index + self.others


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
    assert request.dry_run is not None
    plan = under_existing_contract(plan)
    state = output_folder.survey(plan.out, CONTRACT, plan.contract)
    planned, share = plan.shards(plan.digest), request.shard_of
    left = [shard for row, shard in enumerate(planned) if share is None or share.takes(row)]
    left = [shard for shard in left if not shard.is_done()]
    if not left:
        what = "already complete" if state is State.COMPLETE else "no shard of this part is left"
        return f"{plan.out}: dry run: {what}, nothing to do"
    estimate = _estimated(request, request.dry_run, plan, left, len(planned), state, write, stop)
    return _text(request, request.dry_run, plan, estimate)


def _estimated(
    request: DistillRequest,
    dry_run: DryRun,
    plan: StorePlan,
    left: Sequence[Shard],
    total: int,
    state: State,
    write: ShardWriter,
    stop: StopRequest,
) -> StoreEstimate:
    pending = [list(records(shard.cuts))[num_saved(shard) :] for shard in left]
    opening_s = time.monotonic() - dry_run.started_at
    with tempfile.TemporaryDirectory(prefix="asrkd-dry-run-") as name:
        folder, processes = Path(name), dry_run.side_by_side or min(request.jobs, len(left))
        costs = _measured(folder, left, processes, write, stop)
        shards = [shard for cost in costs for shard in cost.shards]
        lengths = stored_lengths(shards)
        all_records = [record for shard in left for record in records(shard.cuts)]
        predicted = predicted_lengths(plan.contract, lengths, all_records)
        closing_s = _closing_s(plan, shards)
        num_bytes = _bytes(plan, state, folder, left, shards, predicted)
    rate = sum(shard.compute_s for shard in shards) / sum(shard.audio_s for shard in shards)
    write_s = sum(shard.write_s for shard in shards) / len(shards)
    audio_s = [sum(record.duration for record in of_shard) for of_shard in pending]
    workers = 1 if dry_run.tasks else processes
    begin_s = max(cost.begin_s for cost in costs) if workers > 1 else 0.0
    seconds = Seconds(
        opening_s,
        begin_s + max(cost.warm_up_s for cost in costs),
        longest_process([rate * of_shard + write_s for of_shard in audio_s], workers),
        closing_s * len(plan.cuts) * (not dry_run.tasks and request.shard_of is None),
        rate,
    )
    num_cuts = sum(map(len, pending))
    return StoreEstimate(left, total, num_cuts, sum(audio_s), len(lengths), num_bytes, seconds)


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
    with meter("dry run", len(cuts), "cuts", heartbeat=True) as progress:
        watch = _Watch(progress, stop)
        costs = [cost for _, cost in run_tasks(measure_process, tasks, jobs=processes, watch=watch)]
    stop.check("a dry run writes nothing")
    return costs


def predicted_lengths(
    contract: Mapping[str, object], measured: Mapping[str, int], cuts: Sequence[CutRecord]
) -> dict[str, float]:
    """Predict the lengths of cuts in the payload, in rows or bytes, by id.

    Args:
        contract: contract of the store.
        measured: lengths of some of the cuts, by id.
        cuts: cuts to predict.
    """
    is_nbest = contract["kind"] == "nbest"
    known = [cut for cut in cuts if cut.id in measured]
    lengths = np.array([measured[cut.id] for cut in known], dtype=float)

    def predictors(of_cuts: Sequence[CutRecord]) -> Any:
        if is_nbest and len(known) >= MIN_FITTED:
            texts = [sum(len(text or "") for text in cut.texts) for cut in of_cuts]
            return np.array([(1.0, cut.duration, text) for cut, text in zip(of_cuts, texts, strict=True)])
        frames = [None if is_nbest else expected_frames(dict(contract), *_timing(cut)) for cut in of_cuts]
        return np.array([[cut.duration if n is None else n] for cut, n in zip(of_cuts, frames, strict=True)])

    fit = np.linalg.lstsq(predictors(known), lengths, rcond=None)[0]
    fitted = np.maximum(predictors(cuts) @ fit, 0.0)
    return {cut.id: float(measured.get(cut.id, length)) for cut, length in zip(cuts, fitted, strict=True)}


def _timing(cut: CutRecord) -> tuple[float, int]:
    return cut.duration, cut.sampling_rate


def _bytes(
    plan: StorePlan,
    state: State,
    folder: Path,
    left: Sequence[Shard],
    shards: Sequence[ShardCost],
    lengths: Mapping[str, float],
) -> Bytes:
    row_bytes, header_bytes = _payload_layout(plan, shards[-1].path)
    payload = row_bytes * sum(lengths.values()) + header_bytes * len(left)
    others = {"stamp": plan.stamp}
    if state is State.NEW:
        others |= {"contract": plan.contract, "sources": sources_record(plan.out, plan.sources)}
    small = sum(len(files.json_text(record).encode()) for record in others.values())
    return Bytes(payload, _index_bytes(folder / "index", left, lengths), small)


def _payload_layout(plan: StorePlan, path: Path) -> tuple[int, int]:
    """Return the bytes of a row of a payload, and those of its header; of lists a byte, and none."""
    if plan.contract["kind"] == "nbest":
        return 1, 0
    layouts = read_layouts(path).values()
    return sum(layout.row_bytes for layout in layouts), min(layout.start for layout in layouts)


def _index_bytes(folder: Path, left: Sequence[Shard], lengths: Mapping[str, float]) -> float:
    """Return the bytes of all indexes, from some that are written with random checksums."""
    step, draw = -(-len(left) // MAX_INDEXES), random.Random(1)
    num_bytes = num_cuts = 0
    for shard in left[::step]:
        offset, entries = 0, []
        for record in records(shard.cuts):
            length = round(lengths[record.id])
            entry = Entry(offset, length, record.digest[:DIGEST_LENGTH], draw.getrandbits(32))
            entries.append((record.id, entry))
            offset += length
        path = folder / shard.path.name
        write_index(path, Payload(offset, f"{draw.getrandbits(256):064x}", shard.request), entries)
        num_bytes, num_cuts = num_bytes + index_path(path).stat().st_size, num_cuts + shard.size
    return num_bytes / num_cuts * sum(shard.size for shard in left)


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


def _text(request: DistillRequest, dry_run: DryRun, plan: StorePlan, estimate: StoreEstimate) -> str:
    num_bytes, seconds, hours = estimate.bytes, estimate.seconds, estimate.audio_s / 3600
    head = f"{plan.out}: dry run, nothing is written; {counted(estimate.measured, 'cut')} measured"
    of_all = "" if len(estimate.left) == estimate.total else f"{len(estimate.left)} of "
    shards, cuts = counted(estimate.total, "shard"), counted(estimate.num_cuts, "cut")
    work = f"{of_all}{shards}, {cuts}, {hours:.3g} h of audio"
    sizes = {
        "payload": size_text(num_bytes.payload),
        "indexes": size_text(num_bytes.index),
        "contract, sources, stamp": size_text(num_bytes.others),
    }
    per_hour = size_text(num_bytes.total / hours)
    share = f"--shard {request.shard_of.number}/{request.shard_of.of}" if request.shard_of else ""
    of_whom = f"one of {dry_run.tasks} jobs" if dry_run.tasks else f"{share} --jobs {request.jobs}".strip()
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
