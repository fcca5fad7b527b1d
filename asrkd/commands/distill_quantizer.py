"""Command ``distill quantizer``: train a direct-sum quantizer on embeddings of a teacher's layer.

Reads:   a teacher and cuts.
Writes:  a quantizer folder; until it is complete, also the sample and a checkpoint in ``unfinished/``.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut

from asrkd.commands.distill_request import DistillRequest, QuantizerRequest
from asrkd.commands.dry_run_quantizer import CHECKPOINT, UNFINISHED, QuantizerDryRun, quantizer_dry_run
from asrkd.core import output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.locks import lock
from asrkd.core.output_folder import State
from asrkd.core.parallel import one_thread
from asrkd.core.progress import meter
from asrkd.core.randomness import seeded
from asrkd.core.stopping import StopRequest
from asrkd.models.encoder import Tap
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.training import QuantizerCheckpoint, check_enough, train_quantizer
from asrkd.quantizer.report import QuantizerReport
from asrkd.quantizer.storage import is_whole, load_quantizer, save_quantizer
from asrkd.targets.store.contract import contract
from asrkd.teachers.embedding_sample import Sample, sample_embeddings
from asrkd.teachers.teacher import Teacher


def quantizer(request: DistillRequest, settings: QuantizerRequest, stop: StopRequest) -> str:
    """Train a quantizer on embeddings of a layer of the teacher.

    Args:
        request: teacher, cuts and folder.
        settings: layer, sizes and training of the quantizer.
        stop: request to stop.

    Returns:
        One line: the quantizer and its errors on held-out frames.

    Raises:
        AsrkdError: teacher, layer, cuts or folder do not fit together, or there are too few frames.
        StoppedInTime: a stop was requested; run again to resume from the checkpoint.
    """
    teacher, cuts = request.open()
    tap = teacher.tap(settings.layer, settings.tap)
    record = _contract(teacher, cuts, settings, tap)
    already = output_folder.survey(request.out, CONTRACT, record) is State.COMPLETE
    if request.dry_run is not None:
        if is_whole(request.out):
            left = "already complete, nothing to do" if already else "it is trained, without the stamp"
            return f"{request.out}: dry run: {left}"
        sample = _sample(teacher, cuts, tap, settings)
        with quantizer_dry_run(request, teacher, sample, settings, record, stop) as dry_run:
            return dry_run.text
    if not is_whole(request.out):
        sample = _sample(teacher, cuts, tap, settings)
        already = False
        output_folder.claim(request.out, CONTRACT, record)
        with one_thread():
            trained, report = _trained(request, teacher, sample, settings, stop)
        save_quantizer(request.out, trained, report, record)
    shutil.rmtree(request.out / UNFINISHED, ignore_errors=True)
    report = QuantizerReport.of(load_quantizer(request.out).report, request.out)
    if not already:
        output_folder.stamp(request.out, asdict(report))
    return f"{request.out}: {'already complete, ' if already else ''}{len(cuts)} cuts; {report.text()}"


def _contract(
    teacher: Teacher, cuts: Sequence[MonoCut], settings: QuantizerRequest, tap: Tap
) -> dict[str, Any]:
    return contract("quantizer", teacher, cuts, asdict(settings) | {"tap": tap.place})


def _sample(teacher: Teacher, cuts: Sequence[MonoCut], tap: Tap, settings: QuantizerRequest) -> Sample:
    """Choose random utterances; AsrkdError if they have too few frames to train on."""
    with seeded(settings.options.seed, "quantizer utterances") as rng:
        rows = rng.sample(range(len(cuts)), min(settings.utterances, len(cuts)))
    chosen = [cuts[row] for row in rows]
    check_enough(sum(int(cut.duration / teacher.frame_shift) + 1 for cut in chosen), settings.options)
    # Bound the frames of long utterances; short ones leave room for the others.
    frames_per_cut = max(1, 2 * settings.max_frames // len(chosen))
    return Sample(chosen, tap, frames_per_cut, settings.options.seed)


def _trained(
    request: DistillRequest, teacher: Teacher, sample: Sample, settings: QuantizerRequest, stop: StopRequest
) -> tuple[DirectSumQuantizer, QuantizerReport]:
    """Train on the frames of a sample, which is stored beside the checkpoint until training ends."""
    folder = request.out / UNFINISHED
    frames = sample_embeddings(folder, teacher, sample, stop)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(settings.options.seed))
    frames = frames[order[: settings.max_frames]].to(teacher.device)
    checkpoint = QuantizerCheckpoint(folder / CHECKPOINT)
    with meter("quantizer", settings.options.steps, "steps") as progress:
        return train_quantizer(frames, settings.options, stop=stop, meter=progress, checkpoint=checkpoint)


@contextmanager
def dry_run_beside(
    request: DistillRequest, settings: QuantizerRequest, stop: StopRequest
) -> Iterator[QuantizerDryRun]:
    """Measure the training of `<store>-quantizer`, and yield a quantizer of its sizes, or it."""
    beside = replace(request, out=_beside(request))
    if is_whole(beside.out):
        yield QuantizerDryRun("", beside.out)
        return
    teacher, cuts = request.open()
    tap = teacher.tap(settings.layer, settings.tap)
    record = _contract(teacher, cuts, settings, tap)
    output_folder.survey(beside.out, CONTRACT, record)
    sample = _sample(teacher, cuts, tap, settings)
    with quantizer_dry_run(beside, teacher, sample, settings, record, stop) as dry_run:
        yield dry_run


def _beside(request: DistillRequest) -> Path:
    return request.out.with_name(request.out.name + "-quantizer")


def quantizer_beside(request: DistillRequest, settings: QuantizerRequest, stop: StopRequest) -> Path:
    """Train the quantizer `<store>-quantizer`, unless it exists; wait while another process trains it."""
    out = _beside(request)
    waiting = f"{out}: another process is training it"
    with lock(out.with_name(out.name + ".lock"), lambda: stop.check(waiting)):
        quantizer(replace(request, out=out), settings, stop)
    return out
