"""Command ``score`` with a model: recognize cuts and count the errors.

Reads:   a model folder and cuts with transcripts; without weights, the run record that it was restored from;
         or an export, which sherpa-onnx decodes.
Writes:  hypotheses by shard, and the score (see :mod:`asrkd.scoring.score_files`).
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lhotse import MonoCut
from torch import Tensor

from asrkd.commands.score_export import RUNTIME, export_lines, open_export
from asrkd.core import files, output_folder
from asrkd.core.artifacts import RUN_RECORD, SCORE_REQUEST, STAMP
from asrkd.core.command_record import write_command
from asrkd.core.device import pick_device
from asrkd.core.errors import AsrkdError
from asrkd.core.installed import version
from asrkd.core.parallel import check_jobs
from asrkd.core.progress import announced
from asrkd.core.shared_work import FEWER_JOBS, ShardOf, Workers, WorkResult, work
from asrkd.core.shell import remove
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, set_name
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import cuts_digest, records, reference, texts_digest
from asrkd.data.features.reading import load_features
from asrkd.decoding import Hypothesis, SearchOptions, find_search
from asrkd.decoding.recognition import recognize_by_cut, search_for, search_record
from asrkd.decoding.word_emissions import EmissionClock, emission_clock
from asrkd.deployment.sherpa import check_audio
from asrkd.evaluation.records.record import read_record
from asrkd.evaluation.records.restoring import restore_score
from asrkd.models.directory import is_restored, load_model, train_again_command
from asrkd.models.inference import check_features
from asrkd.models.masks import Chunks
from asrkd.models.recognizer import LoadedModel, num_parameters
from asrkd.models.streams import stream_chunks, stream_features, with_chunks
from asrkd.scoring.counts import Counts
from asrkd.scoring.cut_references import reference_utterances
from asrkd.scoring.score_corpus import Rules, require_words, score_utterances
from asrkd.scoring.score_files import aligning, result_line, warn_of_case, write_score
from asrkd.scoring.score_folder import read_counts
from asrkd.scoring.word_times import Emission
from asrkd.targets.store.shard_parts import SerializedOutputs, make_shard
from asrkd.targets.store.shards import Shard, split_cuts

CUTS_PER_SHARD = 200


@dataclass(frozen=True)
class ScoreRequest:
    """Request of a score: model, cuts, search, rules, device and processes."""

    model: Path
    cuts: Path
    out: Path
    search: str = "greedy"
    options: SearchOptions = SearchOptions()
    device: str = "cpu"
    jobs: int = 1
    shard_of: ShardOf | None = None  # share of the list of shards; None: all missing shards
    rules: Rules = Rules()
    chunk_frames: int | None = None  # encoder frames of a stream's chunk; with None for both: no stream
    left_chunks: int | None = None
    runtime: str | None = None  # RUNTIME, for an export in place of a model

    @property
    def streams(self) -> bool:
        """Whether cuts are decoded as streams."""
        return (self.chunk_frames, self.left_chunks) != (None, None)


@dataclass(frozen=True)
class ScoreReport:
    """Result of scoring a model: counts and folder."""

    out: Path
    counts: Counts | None  # None: shards of other parts are missing
    progress: WorkResult | None  # None: no cut was recognized
    rules: Rules = Rules()
    was_complete: bool = False

    def text(self) -> str:
        """Format the error rate and the folder as one line."""
        if self.counts is None:
            return f"{self.out}: this part is done; {self.progress.text() if self.progress else ''}"
        return result_line(self.counts, self.rules, self.out, was_complete=self.was_complete)


def score(request: ScoreRequest, stop: StopRequest) -> ScoreReport:
    """Recognize cuts and count errors, summed over the corpus, not averaged over utterances.

    Args:
        request: model, cuts, search and rules.
        stop: request to stop.

    Raises:
        AsrkdError: model, cuts, search or folder do not fit together; finished shards stay.
        StoppedInTime: a stop was requested; finished shards stay, run again to continue.
    """
    check_jobs(request.jobs)
    if request.runtime is None:
        find_search(request.search, request.options)
        if is_restored(request.model):
            return _restore(request, stop)
    device = str(pick_device(request.device))
    recognizer, cuts, references = _open(request, device)
    record = _record(request, recognizer.sha256, recognizer.search, cuts)
    claimed = output_folder.claim(request.out, SCORE_REQUEST, record)
    if claimed is output_folder.State.COMPLETE:
        return ScoreReport(request.out, read_counts(request.out), None, request.rules, True)
    write_command(request.out)
    planned, progress = _recognize(request, recognizer, record, device, cuts, stop)
    if progress.missing:
        return ScoreReport(request.out, None, progress, request.rules)
    hypotheses, emissions = _read_hypotheses(planned, cuts)
    utterances = reference_utterances(cuts)
    warn_of_case(chain(references.values(), hypotheses.values()), request.rules.normalizer)
    with aligning(len(utterances), stop) as advance:
        scored = score_utterances(utterances, hypotheses, request.rules, advance, emissions)
    write_score(request.out, _description(request, recognizer), scored)
    return ScoreReport(request.out, read_counts(request.out), progress, request.rules)


def check(request: ScoreRequest) -> int:
    """Check a request of :func:`score`, with the model on the CPU; return the number of shards.

    Raises:
        AsrkdError: model, cuts, search or folder do not fit together.
    """
    check_jobs(request.jobs)
    if request.runtime is None:
        find_search(request.search, request.options)
    recognizer, cuts, _ = _open(request, "cpu")
    record = _record(request, recognizer.sha256, recognizer.search, cuts)
    output_folder.survey(request.out, SCORE_REQUEST, record)
    return -(-len(cuts) // CUTS_PER_SHARD)


@dataclass(frozen=True)
class _Recognizer:
    """What a score is of: a model, as a stream or not, or an export."""

    sha256: str  # of the weights
    params: int
    search: dict[str, Any]  # for the record
    lines: Callable[[Shard, int], SerializedOutputs]


def _open(request: ScoreRequest, device: str) -> tuple[_Recognizer, PackedCuts, dict[str, str]]:
    """Open the recognizer, cuts and their references; AsrkdError if they do not fit together."""
    with announced(f"asrkd: opening {request.model} and the cuts"):
        model = None if request.runtime else load_model(request.model, device)
        cuts = read_cuts(request.cuts)
        recognizer = _of_export(request, cuts) if model is None else _of_model(request, model, cuts)
    references = {record.id: reference(record) for record in cuts.records}
    require_words(references, request.cuts, request.rules)
    return recognizer, cuts, references


def _of_model(request: ScoreRequest, model: LoadedModel, cuts: PackedCuts) -> _Recognizer:
    search_for(model, request.search, request.options)
    check_features(model, cuts, str(request.cuts))
    search, chunks = search_record(request.search, request.options), None
    if request.streams:
        chunks = stream_chunks(model, request.chunk_frames, request.left_chunks)
        search |= {"stream": chunks._asdict()}
    lines = partial(_lines, search=request.search, options=request.options, chunks=chunks)
    return _Recognizer(model.weights_sha256, num_parameters(model.recognizer), search, lines)


def _of_export(request: ScoreRequest, cuts: PackedCuts) -> _Recognizer:
    if request.runtime != RUNTIME:
        raise AsrkdError(f"--runtime {request.runtime}: expected {RUNTIME}")
    if request.streams:
        raise AsrkdError("--chunk-frames, --left-chunks: an export has its own; remove them, or export again")
    exported, search = open_export(request.model, request.search, request.options)
    check_audio(exported, cuts, request.cuts)
    described = {
        "name": RUNTIME,
        "version": version(RUNTIME),
        "files": exported.sha256(),
    } | search.arguments()
    lines = partial(export_lines, search=search)
    return _Recognizer(exported.model_sha256, exported.num_parameters, described, lines)


def _restore(request: ScoreRequest, stop: StopRequest) -> ScoreReport:
    """Score a model without weights by the hypotheses in the run record that it was restored from.

    Raises:
        AsrkdError: the record has no score of these cuts by this search and these rules.
    """
    record, cuts = read_record(request.model / RUN_RECORD), read_cuts(request.cuts)
    search = search_record(request.search, request.options)
    wanted = _record(request, record.weights.sha256, search, cuts)
    recorded = next((score for score in record.scores.values() if score.request == wanted), None)
    if recorded is None:
        raise AsrkdError(
            f"{request.model}: restored from a record, without weights and without a score of {request.cuts} "
            f"by these options (it has {', '.join(record.scores) or 'no scores'}); "
            f"{train_again_command(request.model)}"
        )
    was_complete = (request.out / STAMP).is_file()
    counts = restore_score(recorded, cuts, request.cuts, request.out, stop)
    return ScoreReport(request.out, counts, None, request.rules, was_complete)


def _record(
    request: ScoreRequest, model_sha256: str, search: dict[str, Any], cuts: Sequence[MonoCut]
) -> dict[str, Any]:
    """Return the settings that decide the result, as JSON."""
    return {
        "model": model_sha256,
        "cuts": cuts_digest(cuts),
        "references": texts_digest(cuts),
        "search": search,
    } | request.rules.record()


def _recognize(
    request: ScoreRequest,
    recognizer: _Recognizer,
    record: dict[str, Any],
    device: str,
    cuts: Sequence[MonoCut],
    stop: StopRequest,
) -> tuple[list[Shard], WorkResult]:
    """Write the hypothesis of every cut, in shards, so that a stop loses little."""
    digest = files.sha256_of(record)
    split = split_cuts(request.out / "hypotheses", cuts, CUTS_PER_SHARD, ".jsonl")
    planned = [Shard(path, part, request.model, device, digest) for path, part in split]
    write = partial(make_shard, compute=recognizer.lines, write=_write_lines)
    workers = Workers(request.jobs, request.shard_of)
    return planned, work(f"score {request.model.name}", planned, write, workers, stop, idle_remedy=FEWER_JOBS)


def _read_hypotheses(
    planned: Sequence[Shard], cuts: Sequence[MonoCut]
) -> tuple[dict[str, str], dict[str, Emission]]:
    """Read the hypothesis of every cut by id, and the emission times of its words, as far as known.

    Raises:
        AsrkdError: the shards do not hold exactly ``cuts``, or are damaged.
    """
    texts: dict[str, str] = {}
    emissions: dict[str, Emission] = {}
    for shard in planned:
        remedy = f"remove it, and score again: {remove(shard.path)}"
        try:
            rows = [row for _, row in files.read_jsonl(shard.path)]
        except AsrkdError as error:
            raise AsrkdError(f"{error}; {remedy}") from None
        expected = [record.id for record in records(shard.cuts)]
        are_texts = all(isinstance(row.get("text"), str) for row in rows)
        if not are_texts or [row.get("id") for row in rows] != expected:
            raise AsrkdError(f"{shard.path}: its hypotheses are of other cuts; {remedy}")
        texts |= {row["id"]: row["text"] for row in rows}
        try:
            times = {row["id"]: Emission.from_record(row) for row in rows}
        except ValueError as error:
            raise AsrkdError(f"{shard.path}: emission times: {error}; {remedy}") from None
        emissions |= {utt_id: emission for utt_id, emission in times.items() if emission is not None}
    return texts, emissions


def _lines(
    shard: Shard, first: int, search: str, options: SearchOptions, chunks: Chunks | None
) -> SerializedOutputs:
    """Yield the lines of the hypotheses of the cuts from number ``first`` on, as streams with ``chunks``."""
    model, cuts = load_model(shard.model, shard.device), shard.cuts[first:]
    read: Callable[[MonoCut], Tensor] = load_features
    streaming: AbstractContextManager[object] = nullcontext()
    if chunks is not None:
        assert chunks.frames is not None
        step = chunks.frames * model.recognizer.encoder.subsampling
        read = partial(stream_features, features=model.architecture.features, step=step)
        streaming = with_chunks(model, chunks)
    with streaming:
        clock = emission_clock(model)
        for cut, final in recognize_by_cut(model, cuts, search, options, read):
            yield cut.duration, [_line(model, clock, scored, hypotheses[0]) for scored, hypotheses in final]


def _write_lines(shard: Shard, lines: Sequence[bytes]) -> None:
    with files.create_bytes(shard.path) as stream:
        stream.writelines(lines)


def _line(model: LoadedModel, clock: EmissionClock, cut: MonoCut, best: Hypothesis) -> bytes:
    text = model.tokens.decode(list(best.tokens))
    row: dict[str, Any] = {"id": cut.id, "text": text, "log_prob": best.log_prob}
    if best.frames is not None:
        pieces = [model.tokens.symbols[token] for token in best.tokens]
        emission = clock.emission(pieces, best.frames, text)
        row |= {} if emission is None else emission.to_record()
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")


def _description(request: ScoreRequest, recognizer: _Recognizer) -> dict[str, Any]:
    """Return what ``score.json`` records besides the counts."""
    return {"set": set_name(request.cuts), "params": recognizer.params, "search": recognizer.search}
