"""Restoring of a model folder without weights from a run record, and of its scores.

`asrkd compare` and `asrkd report` read such a folder as they read a trained one. Hypotheses are those of the
record, references those of the cuts; errors are counted again, and must be as many as recorded.
"""

from pathlib import Path
from typing import Any

from asrkd.core import files, output_folder
from asrkd.core.artifacts import COMMAND, LINEAGE, METRICS, MODEL_CONFIG, RUN_RECORD, SCORE_REQUEST
from asrkd.core.errors import AsrkdError
from asrkd.core.output_folder import State
from asrkd.core.shell import remove_folder
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import cuts_digest, texts_digest
from asrkd.evaluation.records.record import RunRecord, ScoreRecord, write_record
from asrkd.models.directory import is_restored
from asrkd.scoring.counts import Counts
from asrkd.scoring.cut_references import reference_utterances
from asrkd.scoring.normalizer import find_normalizer
from asrkd.scoring.score_corpus import Rules, score_utterances
from asrkd.scoring.score_files import aligning, write_score
from asrkd.scoring.score_folder import KINDS, read_counts, references_sha256
from asrkd.scoring.units import read_unit
from asrkd.scoring.word_alignment import ALIGNMENTS
from asrkd.scoring.word_times import Emission


def restore_model(record: RunRecord, out: Path) -> None:
    """Write the model folder of a record, without weights, tokens and scores; the stamp last.

    A folder that was restored from the same record is left as it is.

    Args:
        record: the record.
        out: model folder, new or of a restoration that was interrupted.

    Raises:
        AsrkdError: ``out`` is of another run, or a training is in it.
    """
    state = output_folder.survey(out, LINEAGE, record.lineage)
    if state is State.COMPLETE and is_restored(out):
        return
    if state is not State.NEW and not (out / RUN_RECORD).is_file():
        raise AsrkdError(f"{out}: holds a training; give another --out, or remove it: {remove_folder(out)}")
    files.write_json(out / LINEAGE, record.lineage)
    write_record(out / RUN_RECORD, record)
    described = {name: record.lineage[name] for name in ("tokens", "experiment")}
    files.write_json(out / MODEL_CONFIG, described | record.model)
    ends = [] if record.train_seconds is None else [
        {"kind": "end", "step": record.stamp["steps"], "train_seconds": record.train_seconds}
    ]  # fmt: skip
    files.write_jsonl(out / METRICS, [*_log(record), *ends])
    _write_command(out, record.command)
    output_folder.stamp(out, record.stamp)


def _log(record: RunRecord) -> list[dict[str, Any]]:
    """Return the records of the log in the order of training: at a step, its update comes first."""
    rows = zip(*record.updates.values(), strict=True)
    fields = [dict(zip(record.updates, values, strict=True)) for values in rows]
    updates = [
        {"kind": "train"} | {name: value for name, value in update.items() if value is not None}
        for update in fields
    ]
    return sorted([*updates, *record.log], key=lambda row: row["step"])


def restore_score(
    score: ScoreRecord, cuts: PackedCuts, manifest: Path, out: Path, stop: StopRequest
) -> Counts:
    """Write the score folder of a record, its errors counted again; the stamp last.

    Args:
        score: the score in the record.
        cuts: cuts that were scored.
        manifest: their manifest, for messages.
        out: folder of the score.
        stop: request to stop.

    Raises:
        AsrkdError: the cuts are others than those that were scored, or this asrkd counts other errors.
        StoppedInTime: a stop was requested; nothing is kept.
    """
    _check_cuts(score, cuts, manifest, out)
    rules = _rules(score.request, out)
    utterances = list(reference_utterances(cuts))
    if {utterance.id for utterance in utterances} != score.hypotheses.keys():
        raise AsrkdError(
            f"{out}: the record has {len(score.hypotheses)} hypotheses, which are not those of the "
            f"{len(utterances)} utterances of {manifest}; restore it from another copy of the record"
        )
    if output_folder.claim(out, SCORE_REQUEST, score.request) is State.COMPLETE:
        return read_counts(out)
    emissions = {name: Emission.from_record(times) for name, times in score.emissions.items()}
    known = {name: emission for name, emission in emissions.items() if emission is not None}
    with aligning(len(cuts), stop) as advance:
        scored = score_utterances(utterances, score.hypotheses, rules, advance, known)
    counts = {kind: getattr(scored.counts, kind) for kind in KINDS}
    texts = [(utterance.id, utterance.transcript) for utterance in scored.utterances]
    remedy = "restore it from another copy of the record, or with the asrkd that recorded it"
    if counts != score.counts:
        raise AsrkdError(
            f"{out}: {_counted(counts)} by this asrkd, recorded are {_counted(score.counts)}; {remedy}"
        )
    if (digest := references_sha256(texts)) != score.references_sha256:
        recorded = f"sha256 {digest[:12]}, recorded is {score.references_sha256[:12]}"
        raise AsrkdError(f"{out}: this asrkd normalizes references to other words ({recorded}); {remedy}")
    _write_command(out, score.command)
    described = {"set": score.set, "params": score.params, "search": score.request.get("search")}
    write_score(out, described, scored)
    return scored.counts


def _check_cuts(score: ScoreRecord, cuts: PackedCuts, manifest: Path, out: Path) -> None:
    """Raise AsrkdError unless the cuts are those that were scored."""
    digests = {"transcripts": ("references", texts_digest(cuts)), "audio": ("cuts", cuts_digest(cuts))}
    for name, (key, digest) in digests.items():
        expected = str(score.request.get(key))
        if digest != expected:
            maker = f"; it was made by: {score.command}" if score.command else ""
            raise AsrkdError(
                f"{manifest}: its {name} are not those of the recorded {out.name} (sha256 {digest[:12]}, "
                f"expected {expected[:12]}); give the cuts that were scored with --cuts{maker}"
            )


def _rules(request: dict[str, Any], out: Path) -> Rules:
    """Return the rules of a recorded request; AsrkdError if this asrkd has others of these names."""
    remedy = "restore it with the asrkd that recorded it"
    unit = read_unit(request, str(out), remedy)
    try:
        if (alignment := request["alignment"]) not in ALIGNMENTS:
            raise AsrkdError(f"{out}: this asrkd has no alignment {alignment!r}; {remedy}")
        rules = Rules(alignment, find_normalizer(request["normalizer"]["name"]), unit)
    except (KeyError, TypeError) as error:
        raise AsrkdError(f"{out}: the recorded request lacks its rules ({error!r}); {remedy}") from None
    if rules.record()["normalizer"] != request["normalizer"]:
        raise AsrkdError(f"{out}: this asrkd has other rules of normalizer {rules.normalizer.name}; {remedy}")
    return rules


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)


def _write_command(out: Path, line: str | None) -> None:
    if line is not None:
        files.write_json(out / COMMAND, {"command": line})
