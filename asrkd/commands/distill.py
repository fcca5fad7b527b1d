"""Commands ``distill nbest``, ``codebook``, ``posterior`` and ``hidden``: store a teacher's targets for cuts.

Reads:   a teacher (see :mod:`asrkd.teachers.loading`) and cuts; for codebook indexes a quantizer too.
Writes:  a target store: contract, shards, stamp.
"""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from asrkd.commands.distill_quantizer import dry_run_beside, quantizer_beside
from asrkd.commands.distill_request import DistillRequest, QuantizerRequest, check_dtype
from asrkd.commands.dry_run import DryRun
from asrkd.commands.dry_run_store import dry_run_store
from asrkd.core.errors import counted, warn
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import texts_digest
from asrkd.decoding import SearchOptions, find_search
from asrkd.decoding.recognition import search_for, search_record
from asrkd.models.encoder import Tap
from asrkd.models.inference import check_ctc
from asrkd.quantizer.search.search import STANDARD
from asrkd.quantizer.storage import load_quantizer
from asrkd.scoring.units import WORD, Unit
from asrkd.targets.nbest import RECORD
from asrkd.targets.posteriors import ALL, TopK
from asrkd.targets.store.building import StorePlan, make_store
from asrkd.targets.store.nbest_statistics import measure_nbest
from asrkd.targets.store.shards import ShardWriter
from asrkd.targets.writers import arrays
from asrkd.targets.writers.nbest import PLAIN, DecodingConditions, nbest_writer
from asrkd.teachers.folds import fold_warning
from asrkd.teachers.teacher import Teacher, check_quantizer


def nbest(
    request: DistillRequest,
    search: str,
    options: SearchOptions,
    stop: StopRequest,
    conditions: DecodingConditions = PLAIN,
    unit: Unit = WORD,
) -> str:
    """Store the N-best hypotheses of each cut with log P(hypothesis | audio).

    Args:
        request: teacher, cuts and store; with folds the teacher is the first fold's.
        search: name of the search.
        options: options of the search.
        stop: request to stop.
        conditions: added noise, and teachers by fold.
        unit: unit of the errors.

    Returns:
        One line: the store, and the error rates of the best hypotheses and of the oracle.

    Raises:
        AsrkdError: teacher, cuts, search or folder do not fit together.
        StoppedInTime: a stop was requested; finished cuts stay, run again to continue.
    """
    find_search(search, options)
    teacher, cuts = request.open("nbest")
    model = teacher.recognizer("nbest")
    chosen = search_for(model, search, options)
    conditions.verify(model)
    if conditions.folds is None and (line := fold_warning(model.path, cuts)):
        warn(line)
    details = {
        "search": search_record(search, options),
        "score": chosen.meaning,
        "references": texts_digest(cuts),  # of the transcripts that errors are counted against
        "record": RECORD,
    } | unit.record()
    models = {
        "folds": conditions.folds.paths if conditions.folds else (),
        "noise": conditions.noise.cuts if conditions.noise else None,
        "lm": options.lm,
    }
    plan = request.plan(teacher, cuts, "nbest", details | conditions.contract(), **models)
    write = nbest_writer(search, options, conditions, unit)
    if request.dry_run is not None:
        return dry_run_store(request, plan, write, stop)
    made = make_store(plan, write, request.workers, stop)
    return made.text() + (_quality(request.out) if made.is_complete else "")


def codebook(request: DistillRequest, source: Path | QuantizerRequest, stop: StopRequest) -> str:
    """Store the codebook indexes of each cut's frames.

    Args:
        request: teacher, cuts and store.
        source: folder of a quantizer; or settings of one to train first, beside
            the store, in one process while the others wait.
        stop: request to stop.

    Returns:
        One line: the store and its codebooks.

    Raises:
        AsrkdError: teacher, cuts, quantizer or folder do not fit together.
        StoppedInTime: a stop was requested; finished cuts stay, run again to continue.
    """
    teacher, cuts = request.open()
    if isinstance(source, QuantizerRequest):
        teacher.tap(source.layer, source.tap)
        if request.dry_run is not None:
            return _dry_run_of_both(request, request.dry_run, teacher, cuts, source, stop)
        source = quantizer_beside(request, source, stop)
    plan, write, details = _codebook_plan(request, teacher, cuts, source)
    if request.dry_run is not None:
        return dry_run_store(request, plan, write, stop)
    return make_store(plan, write, request.workers, stop).text(details)


def _codebook_plan(
    request: DistillRequest, teacher: Teacher, cuts: PackedCuts, source: Path
) -> tuple[StorePlan, ShardWriter, str]:
    """Return plan and writer of indexes by the quantizer in the folder ``source``, and their text."""
    loaded = load_quantizer(source)
    tap = check_quantizer(source, loaded.contract, teacher)
    sizes = {"num_codebooks": loaded.quantizer.num_codebooks, "codebook_size": loaded.quantizer.codebook_size}
    details = _place(tap) | {
        "quantizer": {"sha256": loaded.identity} | sizes,
        "search": asdict(STANDARD),
    }
    plan = request.plan(teacher, cuts, "codebook", details, quantizer=source)
    text = f", {counted(loaded.quantizer.num_codebooks, 'codebook')} of layer {tap.layer}"
    return plan, arrays.codebook_writer(source, tap), text


def _dry_run_of_both(
    request: DistillRequest,
    dry_run: DryRun,
    teacher: Teacher,
    cuts: PackedCuts,
    settings: QuantizerRequest,
    stop: StopRequest,
) -> str:
    """Measure the training of a quantizer and, with one of its sizes, the store."""
    with dry_run_beside(request, settings, stop) as beside:
        plan, write, _ = _codebook_plan(request, teacher, cuts, beside.folder)
        store = replace(request, dry_run=replace(dry_run, started_at=time.monotonic()))
        return f"{beside.text}\n{dry_run_store(store, plan, write, stop)}".strip()


def posterior(request: DistillRequest, top_k: TopK, dtype: str, stop: StopRequest) -> str:
    """Store the log-probabilities of each frame's likeliest tokens, and that of all others; or of all tokens.

    Args:
        request: teacher, cuts and store.
        top_k: tokens per frame, 1 or more; 'all': all tokens in their order.
        dtype: 'float16' or 'float32'.
        stop: request to stop.

    Returns:
        One line: the store and its tokens per frame.

    Raises:
        AsrkdError: teacher, cuts or folder do not fit together, or the teacher has no CTC head.
        StoppedInTime: a stop was requested; finished cuts stay, run again to continue.
    """
    check_dtype(dtype)
    teacher, cuts = request.open("posterior")
    model = teacher.recognizer("posterior")
    check_ctc(model)
    num_tokens = model.tokens.size
    if top_k != ALL and top_k > num_tokens:
        warn(
            f"--top-k {top_k}: the teacher has {num_tokens} tokens; --top-k {ALL} stores them in half the "
            "space, and for other temperatures too"
        )
    details: dict[str, Any] = {"top_k": top_k if top_k == ALL else min(top_k, num_tokens), "dtype": dtype}
    if top_k == ALL:
        details |= {"num_tokens": num_tokens, "score": "natural logarithms of all tokens, in their order"}
    else:
        best_first = "natural logarithms, best first; the last is that of all other tokens together"
        details |= {"score": best_first}
    plan = request.plan(teacher, cuts, "posterior", details)
    write = arrays.posterior_writer(details["top_k"], dtype)
    if request.dry_run is not None:
        return dry_run_store(request, plan, write, stop)
    made = make_store(plan, write, request.workers, stop)
    return made.text(f", {f'all {num_tokens}' if top_k == ALL else details['top_k']} tokens a frame")


def hidden(
    request: DistillRequest, layer: int, dtype: str, stop: StopRequest, place: str | None = None
) -> str:
    """Store the output of a layer of the teacher at each frame.

    Args:
        request: teacher, cuts and store.
        layer: layer of the teacher, counted from 1.
        dtype: 'float16' or 'float32'.
        stop: request to stop.
        place: 'before_norm' or 'after_norm'; None for the teacher's default.

    Returns:
        One line: the store and its layer.

    Raises:
        AsrkdError: teacher, layer, cuts or folder do not fit together.
        StoppedInTime: a stop was requested; finished cuts stay, run again to continue.
    """
    check_dtype(dtype)
    teacher, cuts = request.open()
    tap = teacher.tap(layer, place)
    dim = teacher.layer_dim(tap)
    details = _place(tap) | {"dim": dim, "dtype": dtype}
    plan = request.plan(teacher, cuts, "hidden", details)
    write = arrays.hidden_writer(tap, dtype)
    if request.dry_run is not None:
        return dry_run_store(request, plan, write, stop)
    made = make_store(plan, write, request.workers, stop)
    return made.text(f", {dim} values a frame of layer {layer}")


def _place(tap: Tap) -> dict[str, Any]:
    return {"layer": tap.layer, "tap": tap.place}


def _quality(store: Path) -> str:
    """Error rates of the best hypotheses and of the oracle, where there are references."""
    measured = measure_nbest(store)
    if measured is None:
        return ""
    first, oracle = measured.oracle_wer[0], measured.oracle_wer[-1]
    return f", {measured.unit.rate} {first:.2%} (best hypothesis), {oracle:.2%} (oracle)"
