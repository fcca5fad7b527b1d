"""Stage ``distill``: ask a teacher about cuts and keep its answers; no student is trained here.

Reads:   a model folder and cuts; for codebook indexes a quantiser as well.
Writes:  a target store (contract, shards, stamp), or a quantiser.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd import files, outputs, shards
from asrkd.decoding import SearchOptions, find_search
from asrkd.errors import AsrkdError
from asrkd.manifests import read_cuts, texts_digest
from asrkd.models.conformer import Tap
from asrkd.models.directory import LoadedModel, load_model
from asrkd.models.inference import answers, check_features
from asrkd.outputs import State
from asrkd.parallel import check_jobs, one_thread
from asrkd.progress import meter
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.storage import is_whole, load_quantizer, save_quantizer
from asrkd.quantizer.training import train_quantizer
from asrkd.shards import Asked, Shard
from asrkd.stopping import StopRequest
from asrkd.targets.asking import codebook_writer, nbest_writer
from asrkd.targets.contract import contract
from asrkd.targets.store import CONTRACT, ArrayStore, NbestStore
from asrkd.training.precision import pick_device
from asrkd.training.randomness import seeded


@dataclass(frozen=True)
class Question:
    """Whom to ask, about what, where to keep the answers, and with what machine."""

    teacher: Path
    cuts: tuple[Path, ...]
    out: Path
    device: str = "cpu"
    jobs: int = 1
    cuts_per_shard: int = 200

    def asked(self) -> Asked:
        """The part of it that shards need."""
        return Asked(self.teacher, str(pick_device(self.device)), self.cuts_per_shard, self.jobs)


@dataclass(frozen=True)
class QuantizerRequest:
    """A quantiser to be trained on a layer of the teacher."""

    layer: int  # 1-based
    options: QuantizerOptions = QuantizerOptions()
    utterances: int = 1000  # drawn at random from the cuts, as the MVQ-KD paper has it
    max_frames: int = 100_000  # kept in memory, drawn at random from those utterances


def quantizer_request(
    layer: int, codebooks: int, *, utterances: int = 1000, seed: int = 1, steps: int | None = None
) -> QuantizerRequest:
    """A request as the command line gives it.

    Args:
        layer: of the teacher, from 1.
        codebooks: bytes of a frame.
        utterances: to learn from.
        seed: of the utterances and the training.
        steps: of each of the two phases; None for the defaults.

    Raises:
        AsrkdError: a value is out of its range.
    """
    sizes = {} if steps is None else {"phase_one_steps": steps, "phase_two_steps": steps}
    try:
        options = QuantizerOptions(num_codebooks=codebooks, seed=seed, **sizes)
    except ValueError as error:
        raise AsrkdError(f"--codebooks, --steps: {error}") from None
    if utterances < 1:
        raise AsrkdError(f"--utterances {utterances}: expected 1 or more")
    return QuantizerRequest(layer, options, utterances)


def nbest(question: Question, search: str, options: SearchOptions, stop: StopRequest) -> str:
    """Store each cut's best hypotheses with log P(hypothesis | audio); a line about how good they are.

    Raises:
        AsrkdError: something the user can mend.
        StoppedInTime: asked to stop; finished shards stay, run again to go on.
    """
    find_search(search)
    model, cuts = _open(question)
    details = {
        "search": {"name": search} | asdict(options),
        "score": "log P(token sequence | audio) in nats, over all alignments, exact",
        "references": texts_digest(cuts),  # that errors are counted against
        "cuts_per_shard": question.cuts_per_shard,
    }
    claimed = outputs.claim(question.out, CONTRACT, contract("nbest", model, cuts, details))
    fresh = _fill(question, cuts, NbestStore.suffix, nbest_writer(search, options), stop)
    return _done(question.out, claimed, fresh, len(cuts)) + _quality(question.out)


def quantizer(question: Question, request: QuantizerRequest, stop: StopRequest) -> str:
    """Train a quantiser on embeddings of the teacher's layer; a line about how well it describes them."""
    model, cuts = _open(question)
    tap = _tap(model, request.layer)
    agreed = contract("quantizer", model, cuts, _request_record(request))
    found = outputs.survey(question.out, CONTRACT, agreed)
    if found is not State.COMPLETE or not is_whole(question.out):
        with one_thread():
            frames = _embeddings(model, cuts, tap, request, stop)
            with meter("quantizer", request.options.steps, "steps") as shown:
                trained, report = train_quantizer(frames, request.options, stop=stop, meter=shown)
        outputs.claim(question.out, CONTRACT, agreed)  # only now: nothing of an unfinished one is kept
        save_quantizer(question.out, trained, report, agreed)
        outputs.stamp(question.out, asdict(report))
    summary = outputs.read_stamp(question.out, "asrkd distill quantizer", ["held_out_errors"])
    return _done(question.out, found, 0, len(cuts)) + (
        f"; relative squared error {summary['held_out_errors'][-1]:.3f} on held-out frames"
    )


def codebook(question: Question, source: Path | QuantizerRequest, stop: StopRequest) -> str:
    """Store the codebook indexes of each cut's frames.

    Args:
        question: whom to ask and about what.
        source: a quantiser's folder, or what quantiser to make first, beside
            the store; of several processes one makes it and the others wait.
        stop: asks to stop.
    """
    model, cuts = _open(question)
    if isinstance(source, QuantizerRequest):
        _tap(model, source.layer)
        source = _quantizer_beside(question, source, stop)
    loaded = load_quantizer(source)
    layer = _check_quantizer(source, loaded.contract, model)
    sizes = {"num_codebooks": loaded.quantizer.num_codebooks, "codebook_size": loaded.quantizer.codebook_size}
    details = {
        "layer": layer,
        "tap": "after_norm",
        "quantizer": {"sha256": loaded.identity} | sizes,
        "cuts_per_shard": question.cuts_per_shard,
    }
    claimed = outputs.claim(question.out, CONTRACT, contract("codebook", model, cuts, details))
    fresh = _fill(question, cuts, ArrayStore.suffix, codebook_writer(source, Tap(layer)), stop)
    return _done(question.out, claimed, fresh, len(cuts)) + (
        f", {sizes['num_codebooks']} codebooks of layer {layer}"
    )


def _open(question: Question) -> tuple[LoadedModel, list[MonoCut]]:
    """The teacher, and all cuts that fit it; an id in two manifests is an error."""
    if question.cuts_per_shard < 1:
        raise AsrkdError(f"--cuts-per-shard {question.cuts_per_shard}: expected 1 or more")
    check_jobs(question.jobs)
    model = load_model(question.teacher, str(pick_device(question.device)))
    cuts: dict[str, MonoCut] = {}
    for path in question.cuts:
        own = read_cuts(path)
        check_features(model, own, str(path))
        for cut in own:
            if cut.id in cuts:
                raise AsrkdError(f"{path}: cut {cut.id} is in an earlier --cuts too")
            cuts[cut.id] = cut
    return model, list(cuts.values())


def _fill(
    question: Question,
    cuts: Sequence[MonoCut],
    suffix: str,
    write: Callable[[Shard], None],
    stop: StopRequest,
) -> int:
    """Write the shards of a store that are missing and stamp it; how many were written."""
    planned = shards.plan(question.out, cuts, question.asked(), suffix)
    fresh = shards.fill(f"distill {question.out.name}", planned, write, question.jobs, stop)
    outputs.stamp(question.out, {"num_shards": len(planned), "num_cuts": len(cuts)})
    return fresh


def _tap(model: LoadedModel, layer: int) -> Tap:
    tap = Tap(layer)
    try:
        model.recogniser.encoder.check_taps([tap])
    except ValueError as error:
        raise AsrkdError(f"--layer {layer}: {error}") from None
    return tap


def _request_record(request: QuantizerRequest) -> dict[str, Any]:
    return asdict(request) | {"tap": "after_norm"}


def _embeddings(
    model: LoadedModel, cuts: Sequence[MonoCut], tap: Tap, request: QuantizerRequest, stop: StopRequest
) -> Tensor:
    """(frames, D) embeddings of some random utterances' frames."""
    with seeded(request.options.seed, "quantizer utterances") as rng:
        sample = rng.sample(list(cuts), min(request.utterances, len(cuts)))
    embeddings: list[Tensor] = []
    with meter("embeddings", len(sample), "cuts") as shown:
        for answer in answers(model, sample, [tap]):
            embeddings.append(answer.tapped[tap])
            stop.check("an unfinished quantiser is not kept")
            shown.advance(audio_s=answer.cut.duration)
    frames = torch.cat(embeddings)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(request.options.seed))
    return frames[order[: request.max_frames]]


def _quantizer_beside(question: Question, request: QuantizerRequest, stop: StopRequest) -> Path:
    """Make the quantiser `<store>-quantizer`, unless another process is or has been making it."""
    out = question.out.with_name(question.out.name + "-quantizer")
    waiting = f"{out}: another process is making it"
    with files.lock(out.with_name(out.name + ".lock"), lambda: stop.check(waiting)):
        beside = Question(question.teacher, question.cuts, out, question.device, question.jobs)
        quantizer(beside, request, stop)
    return out


def _check_quantizer(path: Path, made: dict[str, Any], model: LoadedModel) -> int:
    """The layer that a quantiser is for; AsrkdError if it was trained on another teacher."""
    theirs, ours = made.get("teacher", {}).get("weights_sha256"), model.weights_sha256
    if theirs != ours:
        raise AsrkdError(
            f"{path}: was trained on another teacher (weights {str(theirs)[:12]}, "
            f"{model.path} has {ours[:12]}); make one with: asrkd distill quantizer"
        )
    return int(made["layer"])


def _done(out: Path, claimed: State, fresh: int, num_cuts: int) -> str:
    state = "already complete, " if claimed is State.COMPLETE and not fresh else ""
    return f"{out}: {state}{num_cuts} cuts"


def _quality(out: Path) -> str:
    """WER of the best and of the luckiest hypothesis, where there are references."""
    store = NbestStore(out)
    first = oracle = words = 0
    for cut_id in store.index:
        found = store.read(cut_id)
        if found.errors is not None and found.num_words is not None:
            first, oracle = first + found.errors[0], oracle + min(found.errors)
            words += found.num_words
    return f", WER {first / words:.2%} of the best, {oracle / words:.2%} of the luckiest" if words else ""
