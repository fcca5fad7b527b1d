"""Command ``distill quantizer``: train a direct-sum quantizer on embeddings of a teacher's layer.

Reads:   a teacher and cuts.
Writes:  a quantizer; what it takes to resume lies in its folder ``unfinished`` until it is done.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from lhotse import MonoCut

from asrkd.commands.distill_request import DistillRequest, QuantizerRequest
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

UNFINISHED = "unfinished"  # folder in a quantizer's, for what it takes to go on


def quantizer(question: DistillRequest, request: QuantizerRequest, stop: StopRequest) -> str:
    """Train a quantizer on embeddings of the teacher's layer; a line about how well it describes them.

    Raises:
        AsrkdError: something the user can mend.
        StoppedInTime: asked to stop; what was made so far stays, run again to go on.
    """
    teacher, cuts = question.open()
    tap = teacher.tap(request.layer, request.tap)
    agreed = contract("quantizer", teacher, cuts, asdict(request) | {"tap": tap.place})
    already = output_folder.survey(question.out, CONTRACT, agreed) is State.COMPLETE
    if not is_whole(question.out):
        sample = _sample(teacher, cuts, tap, request)
        already = False
        output_folder.claim(question.out, CONTRACT, agreed)
        with one_thread():
            trained, report = _trained(question, teacher, sample, request, stop)
        save_quantizer(question.out, trained, report, agreed)
    shutil.rmtree(question.out / UNFINISHED, ignore_errors=True)
    report = QuantizerReport.of(load_quantizer(question.out).report, question.out)
    if not already:
        output_folder.stamp(question.out, asdict(report))
    return f"{question.out}: {'already complete, ' if already else ''}{len(cuts)} cuts; {report.text()}"


def _sample(teacher: Teacher, cuts: Sequence[MonoCut], tap: Tap, request: QuantizerRequest) -> Sample:
    """Some random utterances; AsrkdError if they are too short to learn from."""
    with seeded(request.options.seed, "quantizer utterances") as rng:
        rows = rng.sample(range(len(cuts)), min(request.utterances, len(cuts)))
    chosen = [cuts[row] for row in rows]
    check_enough(sum(int(cut.duration / teacher.frame_shift) + 1 for cut in chosen), request.options)
    # A few long ones shall not fill the memory; short ones may leave room to the others.
    frames_per_cut = max(1, 2 * request.max_frames // len(chosen))
    return Sample(chosen, tap, frames_per_cut, request.options.seed)


def _trained(
    question: DistillRequest, teacher: Teacher, sample: Sample, request: QuantizerRequest, stop: StopRequest
) -> tuple[DirectSumQuantizer, QuantizerReport]:
    """A quantizer of the sample's frames, which are kept beside its checkpoint until it is done."""
    folder = question.out / UNFINISHED
    frames = sample_embeddings(folder, teacher, sample, stop)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(request.options.seed))
    frames = frames[order[: request.max_frames]].to(teacher.device)
    checkpoint = QuantizerCheckpoint(folder / "checkpoint.safetensors")
    with meter("quantizer", request.options.steps, "steps") as shown:
        return train_quantizer(frames, request.options, stop=stop, meter=shown, checkpoint=checkpoint)


def quantizer_beside(question: DistillRequest, request: QuantizerRequest, stop: StopRequest) -> Path:
    """Make the quantizer `<store>-quantizer`, unless another process is or has been making it."""
    out = question.out.with_name(question.out.name + "-quantizer")
    waiting = f"{out}: another process is making it"
    with lock(out.with_name(out.name + ".lock"), lambda: stop.check(waiting)):
        quantizer(replace(question, out=out), request, stop)
    return out
