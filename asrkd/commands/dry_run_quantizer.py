"""Dry run of the training of a quantizer: embeddings of some utterances, and some steps of each phase.

The embeddings are repeated to as many frames as the training has. A training of
few steps on them gives the seconds of a step of each kind, of a checkpoint and
of the measurement at the end; its quantizer, in a temporary folder, the bytes.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from asrkd.commands.distill_request import DistillRequest, QuantizerRequest
from asrkd.commands.dry_run import block, listed, size_text, time_text
from asrkd.commands.dry_run_costs import spread_rows
from asrkd.core import files
from asrkd.core.parallel import one_thread
from asrkd.core.progress import Meter
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.records import CutRecord, records
from asrkd.models.frame_timing import expected_frames
from asrkd.quantizer.fit.learner import SETTLING, SOLVE_EVERY
from asrkd.quantizer.fit.training import CHECKPOINT_EVERY_S, QuantizerCheckpoint, train_quantizer
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.storage import save_quantizer
from asrkd.teachers.embedding_sample import Sample, num_sampled
from asrkd.teachers.teacher import Teacher

UNFINISHED = "unfinished"  # subfolder with sample and checkpoint, to resume from
CHECKPOINT = "checkpoint.safetensors"  # in it
EMBEDDINGS_S = 4.0  # of measuring
SHORT = {16: (10, 16), 64: (6, 8)}  # measured steps of both phases, up to so many codebooks


@dataclass(frozen=True)
class QuantizerDryRun:
    """Text of a dry run, and a folder with a quantizer of the same sizes."""

    text: str
    folder: Path


@dataclass(frozen=True)
class TrainingSeconds:
    """Seconds of a training by kind of step, and of what is beside them."""

    phase_one: float  # a step, with its share of solving
    phase_two: float  # a step
    settling: float  # a step
    solving: float  # of phase two, with the tables that it makes stale
    checkpoint: float
    measuring: float

    def left(self, options: QuantizerOptions, done: int) -> float:
        """Return the seconds that are left after ``done`` steps."""
        settling = int(SETTLING * options.phase_two_steps)
        ends = (options.phase_one_steps, options.steps - settling, options.steps)
        steps = [max(0, end - max(done, begin)) for begin, end in zip((0, *ends), ends, strict=False)]
        solved = math.ceil((steps[1] + steps[2]) / SOLVE_EVERY[1])
        rates = (self.phase_one, self.phase_two, self.settling)
        training_s = sum(n * step_s for n, step_s in zip(steps, rates, strict=True)) + solved * self.solving
        saves = sum(done < end for end in (ends[0], ends[2])) + int(training_s / CHECKPOINT_EVERY_S)
        return training_s + saves * self.checkpoint + self.measuring


@contextmanager
def quantizer_dry_run(
    request: DistillRequest,
    teacher: Teacher,
    sample: Sample,
    settings: QuantizerRequest,
    record: dict[str, Any],
    stop: StopRequest,
) -> Iterator[QuantizerDryRun]:
    """Measure a short training; yield what the whole one would write and how long it would take.

    Args:
        request: the request, with a dry run.
        teacher: teacher of the quantizer.
        sample: frames to train on.
        settings: settings of the quantizer.
        record: contract of the quantizer.
        stop: request to stop.

    Yields:
        The text; the folder is removed after the block.

    Raises:
        StoppedInTime: a stop was requested.
    """
    assert request.dry_run is not None
    opening_s = time.monotonic() - request.dry_run.started_at
    cuts, unfinished, options = list(records(sample.cuts)), request.out / UNFINISHED, settings.options
    num_frames = min(_num_frames(teacher, cuts, sample.frames_per_cut), settings.max_frames)
    pending, done = cuts[num_sampled(unfinished) :], _steps_done(unfinished / CHECKPOINT)
    audio_s = sum(record.duration for record in pending)
    with tempfile.TemporaryDirectory(prefix="asrkd-dry-run-") as name, one_thread():
        folder = Path(name)
        rate, frames = _embedded(teacher, sample, stop)
        many = frames.repeat(-(-num_frames // len(frames)), 1)[:num_frames].to(teacher.device)
        costs, num_bytes = _short_training(folder, many, options, record, stop)
        temporary = 4 * many.numel() + (folder / CHECKPOINT).stat().st_size
        times = {
            "opening": opening_s,
            "embeddings": rate * audio_s,
            "training": costs.left(options, done),
        }
        work = (
            f"{len(pending)} of {len(cuts)} utterances, {audio_s / 3600:.3g} h of audio; "
            f"{options.steps - done} of {options.steps} steps on {num_frames} frames"
        )
        disk = f"{size_text(num_bytes)}, and {size_text(temporary)} more until it is trained"
        rows = [("left", work), ("disk", disk), *_time_rows(times, costs, teacher.device.type)]
        yield QuantizerDryRun(block(f"{request.out}: dry run, nothing is written", rows), folder)


def _time_rows(times: Mapping[str, float], costs: TrainingSeconds, device: str) -> list[tuple[str, str]]:
    parts = listed({part: time_text(seconds) for part, seconds in times.items()})
    steps = f"{costs.phase_one:.3g} s, then {costs.phase_two:.3g} s and {costs.settling:.3g} s a step"
    return [("time", f"{time_text(sum(times.values()))} ({parts}) on {device}"), ("", f"({steps})")]


def _num_frames(teacher: Teacher, cuts: Sequence[CutRecord], most: int) -> int:
    """Count the frames of cuts, of each at most so many."""
    contract, count = teacher.contract(), 0
    for cut in cuts:
        length = expected_frames(contract, cut.duration, cut.sampling_rate)
        count += min(int(cut.duration / teacher.frame_shift) if length is None else length, most)
    return count


def _steps_done(checkpoint: Path) -> int:
    """Return the number of steps in a checkpoint, 0 without one."""
    try:
        with safe_open(str(checkpoint), framework="pt") as stream:
            return int(stream.get_tensor("step"))
    except Exception:  # absent or torn: the training begins anew
        return 0


def _embedded(teacher: Teacher, sample: Sample, stop: StopRequest) -> tuple[float, Tensor]:
    """Return seconds for a second of audio, and the (F, D) embeddings of some utterances."""
    tap = sample.tap
    durations = [record.duration for record in records(sample.cuts)]
    cuts = [sample.cuts[row] for row in spread_rows(durations)]
    next(iter(teacher.embeddings(cuts[:1], [tap])))  # warm-up
    begun, audio_s, frames = time.monotonic(), 0.0, list[Tensor]()
    for embedded in teacher.embeddings(cuts, [tap]):
        audio_s += embedded.cut.duration
        frames.append(embedded.tapped[tap])
        stop.check("a dry run writes nothing")
        if time.monotonic() - begun >= EMBEDDINGS_S:
            break
    return (time.monotonic() - begun) / audio_s, torch.cat(frames).float()


class _Probe(Meter):
    """Meter that measures the seconds of each step."""

    def __init__(self, steps: int) -> None:
        super().__init__("dry run", steps, "steps")
        self.seconds = list[float]()
        self.mark()

    def mark(self) -> None:
        """Begin to measure."""
        self._at = time.monotonic()

    def advance(self, count: int = 1, **_more: Any) -> None:
        """Measure a step that has ended; at the start of a training, the step that begins."""
        if count:
            self.seconds.append(time.monotonic() - self._at)
        self.mark()


class _TimedCheckpoint(QuantizerCheckpoint):
    """Checkpoint whose writing is measured apart from the steps."""

    def __init__(self, path: Path, probe: _Probe) -> None:
        super().__init__(path, every_s=math.inf)
        self._probe, self.seconds = probe, list[float]()

    def save(self, state: dict[str, Tensor]) -> None:
        begun = time.monotonic()
        super().save(state)
        self.seconds.append(time.monotonic() - begun)
        self._probe.mark()


def _short_training(
    folder: Path, frames: Tensor, options: QuantizerOptions, record: dict[str, Any], stop: StopRequest
) -> tuple[TrainingSeconds, int]:
    """Train a quantizer for a few steps into ``folder``; return the seconds and the bytes of its folder."""
    first, second = next(steps for most, steps in SHORT.items() if options.num_codebooks <= most)
    short = replace(
        options,
        phase_one_steps=min(first, options.phase_one_steps),
        phase_two_steps=min(second, options.phase_two_steps),
    )
    probe = _Probe(short.steps)
    checkpoint = _TimedCheckpoint(folder / CHECKPOINT, probe)
    quantizer, report = train_quantizer(frames, short, stop=stop, meter=probe, checkpoint=checkpoint)
    measuring = time.monotonic() - probe._at
    save_quantizer(folder, quantizer, report, record)
    written = [path for path in folder.iterdir() if path != checkpoint.path]
    described = len(files.json_text(record).encode()) + len(files.json_text(asdict(report)).encode())
    num_bytes = sum(path.stat().st_size for path in written) + described  # of the contract and the stamp
    return _by_kind(probe.seconds, short, mean(checkpoint.seconds), measuring), num_bytes


def _by_kind(
    seconds: Sequence[float], short: QuantizerOptions, checkpoint: float, measuring: float
) -> TrainingSeconds:
    """Sort the seconds of the steps of a short training by kind.

    The first step of all compiles. A round of phase one, from one solving to the next, has its share of it.
    The first step of phase two makes tables, as each does after the centers were solved for, which the last
    step of all does.
    """
    one, two = seconds[: short.phase_one_steps], seconds[short.phase_one_steps :]
    settling = int(SETTLING * short.phase_two_steps)
    learning, last = two[: len(two) - settling], two[len(two) - settling :]
    phase_one = mean(one[1 : 1 + SOLVE_EVERY[0]] or one)
    phase_two = mean(learning[1:] or learning or last)
    settled = mean(last[:-1] or last or [phase_two])
    tables = max(0.0, two[0] - phase_two)
    return TrainingSeconds(
        phase_one, phase_two, settled, tables + max(0.0, two[-1] - settled), checkpoint, measuring
    )
