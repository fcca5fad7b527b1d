"""Stage ``distill``: ask a teacher about cuts and keep its answers; no student is trained here.

Reads:   a teacher (asrkd/teachers/loading.py says which) and cuts; for codebook indexes a quantiser as well.
Writes:  a target store (contract, shards, stamp), or a quantiser.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut

from asrkd.commands.distill_request import QuantizerRequest, Question, check_dtype
from asrkd.core import files, output_folder
from asrkd.core.device import pick_device
from asrkd.core.errors import AsrkdError, warn
from asrkd.core.output_folder import State
from asrkd.core.parallel import one_thread
from asrkd.core.progress import meter
from asrkd.core.randomness import seeded
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.records import texts_digest
from asrkd.decoding import SearchOptions, find_search
from asrkd.decoding.recognition import described, search_for
from asrkd.models.conformer import Tap
from asrkd.models.inference import check_ctc
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.checkpoint import Checkpoint
from asrkd.quantizer.fit.training import check_enough, train_quantizer
from asrkd.quantizer.report import QuantizerReport
from asrkd.quantizer.search.search import STANDARD
from asrkd.quantizer.storage import is_whole, load_quantizer, save_quantizer
from asrkd.scoring.units import WORD, Unit
from asrkd.targets.nbest import RECORD
from asrkd.targets.store.arrays import ArrayStore
from asrkd.targets.store.building import Made, StorePlan, make_store
from asrkd.targets.store.contract import contract
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.shards import ShardWriter
from asrkd.targets.store.store import CONTRACT
from asrkd.targets.writers import arrays
from asrkd.targets.writers.nbest import PLAIN, Hearing, nbest_writer
from asrkd.teachers.embedding_sample import Sample, sample_embeddings
from asrkd.teachers.folds import told_of_one
from asrkd.teachers.teacher import Teacher, check_quantizer

UNFINISHED = "unfinished"  # folder in a quantiser's, for what it takes to go on


def nbest(
    question: Question,
    search: str,
    options: SearchOptions,
    stop: StopRequest,
    hearing: Hearing = PLAIN,
    unit: Unit = WORD,
) -> str:
    """Store each cut's best hypotheses with log P(hypothesis | audio); a line about how good they are.

    Args:
        question: whom to ask and about what; with folds its teacher is one of theirs.
        search: its name.
        options: of the search.
        stop: asks to stop.
        hearing: noise, and teachers of folds.
        unit: what errors are counted in.

    Raises:
        AsrkdError: something the user can mend.
        StoppedInTime: asked to stop; what was answered stays, run again to go on.
    """
    find_search(search, options)
    teacher, cuts = question.open()
    model = teacher.recogniser("nbest")
    found = search_for(model, search, options)
    hearing.verify(model)
    if hearing.folds is None and (line := told_of_one(model.path, cuts)):
        warn(line)
    details = {
        "search": described(search, options),
        "score": found.meaning,
        "references": texts_digest(cuts),  # that errors are counted against
        "record": RECORD,
    } | unit.record()
    flags = {"search": search, "beam": options.beam, "nbest": options.num_best, "lm": options.lm}
    flags |= {name: getattr(options.decoder, name) for name in found.read(options)}
    flags |= hearing.flags() | {"unit": None if unit == WORD else unit.name}
    asked = _Asked(question, teacher, cuts, "nbest", details | hearing.contract(), flags)
    made = asked.make(NbestStore.suffix, nbest_writer(search, options, hearing, unit), stop)
    return made.text() + (_quality(question.out) if made.is_complete else "")


def codebook(question: Question, source: Path | QuantizerRequest, stop: StopRequest) -> str:
    """Store the codebook indexes of each cut's frames.

    Args:
        question: whom to ask and about what.
        source: a quantiser's folder, or what quantiser to make first, beside
            the store; of several processes one makes it and the others wait.
        stop: asks to stop.

    Raises:
        AsrkdError: something the user can mend.
        StoppedInTime: asked to stop; what was answered stays, run again to go on.
    """
    teacher, cuts = question.open()
    if isinstance(source, QuantizerRequest):
        teacher.tap(source.layer, source.tap)
        source = _quantizer_beside(question, source, stop)
    loaded = load_quantizer(source)
    tap = check_quantizer(source, loaded.contract, teacher)
    sizes = {"num_codebooks": loaded.quantizer.num_codebooks, "codebook_size": loaded.quantizer.codebook_size}
    details = _place(tap) | {
        "quantizer": {"sha256": loaded.identity} | sizes,
        "search": asdict(STANDARD),
    }
    asked = _Asked(question, teacher, cuts, "codebook", details, {"quantizer": source})
    made = asked.make(ArrayStore.suffix, arrays.codebook_writer(source, tap), stop)
    return made.text() + f", {sizes['num_codebooks']} codebooks of layer {tap.layer}"


def posterior(question: Question, top_k: int, dtype: str, stop: StopRequest) -> str:
    """Store the likeliest tokens of each frame with their log-probabilities, and that of the rest.

    Args:
        question: whom to ask and about what.
        top_k: tokens kept in each frame, 1 or more; all of them where there are fewer.
        dtype: 'float16' or 'float32'.
        stop: asks to stop.

    Raises:
        AsrkdError: something the user can mend, as a teacher without a CTC head.
        StoppedInTime: asked to stop; what was answered stays, run again to go on.
    """
    check_dtype(dtype)
    if top_k < 1:
        raise AsrkdError(f"--top-k {top_k}: expected 1 or more")
    teacher, cuts = question.open()
    model = teacher.recogniser("posterior")
    check_ctc(model)
    top_k = min(top_k, model.tokens.size)
    details = {
        "top_k": top_k,
        "dtype": dtype,
        "score": "natural logarithms, best first; the last is that of all other tokens together",
    }
    asked = _Asked(question, teacher, cuts, "posterior", details, {"top_k": top_k, "dtype": dtype})
    made = asked.make(ArrayStore.suffix, arrays.posterior_writer(top_k, dtype), stop)
    return made.text() + f", {top_k} tokens a frame"


def hidden(question: Question, layer: int, dtype: str, stop: StopRequest, place: str | None = None) -> str:
    """Store the output of a layer of the teacher at each frame.

    Args:
        question: whom to ask and about what.
        layer: of the teacher, from 1.
        dtype: 'float16' or 'float32'.
        stop: asks to stop.
        place: 'before_norm' or 'after_norm'; None for the usual one of the teacher.

    Raises:
        AsrkdError: something the user can mend.
        StoppedInTime: asked to stop; what was answered stays, run again to go on.
    """
    check_dtype(dtype)
    teacher, cuts = question.open()
    tap = teacher.tap(layer, place)
    details = _place(tap) | {"dim": teacher.dim, "dtype": dtype}
    asked = _Asked(question, teacher, cuts, "hidden", details, {"layer": layer, "tap": place, "dtype": dtype})
    made = asked.make(ArrayStore.suffix, arrays.hidden_writer(tap, dtype), stop)
    return made.text() + f", {teacher.dim} values a frame of layer {layer}"


def quantizer(question: Question, request: QuantizerRequest, stop: StopRequest) -> str:
    """Train a quantiser on embeddings of the teacher's layer; a line about how well it describes them.

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


class _Asked:
    """A question that was opened: what the store of its answers will be."""

    def __init__(
        self,
        question: Question,
        teacher: Teacher,
        cuts: Sequence[MonoCut],
        kind: str,
        details: dict[str, Any],
        flags: dict[str, Any],
    ) -> None:
        self.question, self.cuts = question, cuts
        sized = details | {"cuts_per_shard": question.cuts_per_shard}
        self.contract = contract(kind, teacher, cuts, sized)
        self.sources = question.sources(kind, flags)

    def make(self, suffix: str, write: ShardWriter, stop: StopRequest) -> Made:
        """Make the store, or this process's part of it."""
        question = self.question
        plan = StorePlan(
            out=question.out,
            contract=self.contract,
            sources=self.sources,
            cuts=self.cuts,
            suffix=suffix,
            device=str(pick_device(question.device)),
            cuts_per_shard=question.cuts_per_shard,
        )
        return make_store(plan, write, question.crew, stop)


def _place(tap: Tap) -> dict[str, Any]:
    return {"layer": tap.layer, "tap": tap.place}


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
    question: Question, teacher: Teacher, sample: Sample, request: QuantizerRequest, stop: StopRequest
) -> tuple[DirectSumQuantizer, QuantizerReport]:
    """A quantiser of the sample's frames, which are kept beside its checkpoint until it is done."""
    folder = question.out / UNFINISHED
    frames = sample_embeddings(folder, teacher, sample, stop)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(request.options.seed))
    frames = frames[order[: request.max_frames]].to(teacher.device)
    checkpoint = Checkpoint(folder / "checkpoint.safetensors")
    with meter("quantizer", request.options.steps, "steps") as shown:
        return train_quantizer(frames, request.options, stop=stop, meter=shown, checkpoint=checkpoint)


def _quantizer_beside(question: Question, request: QuantizerRequest, stop: StopRequest) -> Path:
    """Make the quantiser `<store>-quantizer`, unless another process is or has been making it."""
    out = question.out.with_name(question.out.name + "-quantizer")
    waiting = f"{out}: another process is making it"
    with files.lock(out.with_name(out.name + ".lock"), lambda: stop.check(waiting)):
        quantizer(replace(question, out=out), request, stop)
    return out


def _quality(out: Path) -> str:
    """Error rate of the best and of the luckiest hypothesis, where there are references."""
    store = NbestStore(out)
    first = oracle = words = 0
    for cut_id in store.index.ids():
        found = store.read(cut_id)
        if found.errors is not None and found.num_words is not None:
            first, oracle = first + found.errors[0], oracle + min(found.errors)
            words += found.num_words
    if not words:
        return ""
    return f", {store.unit.rate} {first / words:.2%} of the best, {oracle / words:.2%} of the luckiest"
