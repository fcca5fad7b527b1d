"""Check of prepared corpora, models, quantizers and scores: whole, and not stale."""

from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import jiwer

from asrkd.commands.checks.cuts import audit_cuts, prepare_again
from asrkd.commands.checks.findings import Findings
from asrkd.core import files, output_folder
from asrkd.core.artifacts import (
    CONTRACT,
    LINEAGE,
    METRICS,
    QUANTIZER_WEIGHTS,
    RUN_RECORD,
    SCORE_REQUEST,
    WEIGHTS,
)
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_again, remove_folder
from asrkd.data.cuts.folds import learned_by
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.records import is_transcribed, reference
from asrkd.data.tokens import Tokens
from asrkd.evaluation.records.record import read_record
from asrkd.models.directory import finish_command, is_restored, load_any_model, train_again_command
from asrkd.models.front_end import SUBSAMPLING
from asrkd.objectives.too_short import TooShort
from asrkd.quantizer.storage import load_quantizer
from asrkd.scoring.score_folder import ScoreFolder, read_score, remake_command
from asrkd.scoring.units import spaced
from asrkd.scoring.word_alignment import LEVENSHTEIN
from asrkd.targets.sources.text import read_sentences
from asrkd.training.metrics import read_metrics

TEXTS_AT_ONCE = 10_000


def audit_prepared(path: Path, findings: Findings, *, deep: bool) -> None:
    """Check a folder of `asrkd prepare`: stamp, manifests, the files that they name, tokens."""
    with findings.collect(path):
        maker = read_command(path) or command("asrkd", "prepare", "...", "--out", path)
        splits = output_folder.read_stamp(path, maker, ["splits", "num_tokens"])
        for row in splits["splits"]:
            manifest = path / f"cuts_{row['split']}.jsonl.gz"
            if not row["num_cuts"]:
                continue
            count = audit_cuts(manifest, findings, deep=deep and row["split"] != "train_small")
            if count != row["num_cuts"]:
                findings.problem(
                    f"{manifest}: has {count} cuts, the stamp {row['num_cuts']}; {prepare_again(path)}"
                )
        if splits["num_tokens"] is not None:
            tokens = Tokens.load(path)
            findings.note(f"{path}: {tokens.size} tokens")
            _audit_lengths(path, tokens, findings)


def _audit_lengths(path: Path, tokens: Tokens, findings: Findings) -> None:
    """Count the transcripts of ``train`` that are too long for CTC with the folder's tokens."""
    manifest, dropped = path / "cuts_train.jsonl.gz", TooShort(SUBSAMPLING)
    if not manifest.is_file():
        return
    for _, _, _, cut in stream_lines(manifest):
        if cut.features is not None and is_transcribed(cut.texts):
            dropped.add(cut, tokens.encode(reference(cut)))
    for line in dropped.lines(f"{manifest}: CTC with these tokens and a subsampling of {SUBSAMPLING}"):
        findings.note(line)


def audit_model(path: Path, findings: Findings) -> None:
    """Check a folder of `asrkd train`: its weights load, and its training data and stores are unchanged.

    A folder that was restored from a run record has no weights, which is noted.
    """
    with findings.collect(path):
        output_folder.read_stamp(path, finish_command(path), ["params", "steps"])
        if is_restored(path):
            read_record(path / RUN_RECORD)
            findings.note(f"{path}: restored from a record, without weights; {train_again_command(path)}")
        else:
            findings.note(f"{path}: weights {load_any_model(path).weights_sha256[:12]}")
    with findings.collect(path):
        lineage = files.read_json(path / LINEAGE)
        data = lineage["experiment"]["data"]
        if "train_text" in data:
            _audit_text(path, data, lineage, findings)
            return
        for name in ("train", "dev"):
            names = data[name] if isinstance(data[name], list) else [data[name]]
            with findings.collect(path):
                _audit_lineage(path, list(map(Path, names)), name, lineage, findings)
        for store, expected in lineage["target_stores"].items():
            _compare(path, Path(store) / CONTRACT, expected, findings)
        for line in _dropped(path):
            findings.note(f"{path}: {line}")
        live = lineage.get("live_targets", {"teachers": {}, "quantizers": {}})
        for teacher, hashes in live["teachers"].items():
            _compare(path, Path(teacher) / WEIGHTS, hashes["weights_sha256"], findings)
        for quantizer, expected in live["quantizers"].items():
            _compare(path, Path(quantizer) / QUANTIZER_WEIGHTS, expected, findings)


def _dropped(path: Path) -> list[str]:
    """Return the lines of the run's log about targets that were left out."""
    notes = [record.get("notes") for record in read_metrics(path / METRICS) if record["kind"] == "targets"]
    return [str(line) for lines in notes if isinstance(lines, list) for line in lines]


def _audit_text(path: Path, data: dict[str, Any], lineage: dict[str, Any], findings: Findings) -> None:
    """Check that a language model's training and dev text are unchanged."""
    for name in ("train", "dev"):
        source = Path(data[f"{name}_text"])
        if not source.is_file():
            findings.note(f"{path}: its {name} text is no longer at {source}")
            continue
        with findings.collect(path):
            digest = read_sentences(source, Tokens.load(path), data["max_sentence"]).digest()
            if digest == lineage[f"{name}_text"]:
                findings.note(f"{path}: {name} text as in {source}")
            else:
                findings.problem(f"{path}: stale: {source} changed since training; {_train_again(path)}")


def _train_again(path: Path) -> str:
    maker = read_command(path)
    made_by = f"it was made by: {maker}; " if maker else ""
    return f"{made_by}train again into another --out, or remove it first: {remove_folder(path)}"


def _audit_lineage(
    path: Path, manifests: Sequence[Path], name: str, lineage: dict[str, Any], findings: Findings
) -> None:
    """Check that the model was trained or validated on the present cuts of ``manifests``."""
    missing = [manifest for manifest in manifests if not manifest.is_file()]
    if missing:
        findings.note(f"{path}: its {name} cuts are no longer at {missing[0]}")
        return
    is_learned = learned_by(lineage["experiment"]["data"], str(path / LINEAGE))
    digests, texts, where = [], [], " and ".join(map(str, manifests))
    for line in chain.from_iterable(map(stream_lines, manifests)):
        if name == "dev" or is_learned(line.cut):
            digests.append(line.cut.digest)
            texts.append(line.cut.texts)
    for words, key, values in (("audio", "cuts", digests), ("transcripts", "texts", texts)):
        if files.sha256_of(values) != lineage[f"{name}_{key}"]:
            findings.problem(
                f"{path}: stale: the {words} of {where} changed since training; {_train_again(path)}"
            )
            return
    findings.note(f"{path}: {name} cuts as in {where}")


def audit_quantizer(path: Path, findings: Findings) -> None:
    """Check a folder of `asrkd distill quantizer`: its weights have the recorded hash."""
    with findings.collect(path):
        output_folder.read_stamp(path, command("asrkd", "distill", "quantizer", "...", "--out", path))
        loaded = load_quantizer(path)
        sizes = f"{loaded.quantizer.num_codebooks} codebooks of {loaded.quantizer.codebook_size}"
        findings.note(f"{path}: {sizes}, weights {loaded.identity[:12]}")


def audit_score(path: Path, findings: Findings) -> None:
    """Check a folder of `asrkd score`: whole, and of the model whose folder it is in, if any."""
    with findings.collect(path):
        scored = read_score(path)
        counted = f"{scored.counts.num_words} {scored.unit.nouns} of {len(scored.utterances)} utterances"
        findings.note(f"{path}: {counted} aligned by {scored.alignment}, normalizer {scored.normalizer}")
        if scored.alignment == LEVENSHTEIN:
            _recount(path, scored, findings)
        expected = files.read_json(path / SCORE_REQUEST).get("model")
        if expected is not None:  # a score of existing transcripts has none
            _compare(path, path.parent / WEIGHTS, expected, findings)


def _recount(path: Path, scored: ScoreFolder, findings: Findings) -> None:
    """Count the errors again with jiwer, from the texts in the folder."""
    errors, utterances = 0, iter(scored.utterances)
    while batch := list(islice(utterances, TEXTS_AT_ONCE)):
        references = [spaced(utterance.reference, scored.unit) for utterance in batch]
        hypotheses = [spaced(utterance.hypothesis, scored.unit) for utterance in batch]
        counts = jiwer.process_words(references, hypotheses)
        errors += counts.substitutions + counts.deletions + counts.insertions
    if errors != scored.counts.errors:
        findings.problem(
            f"{path}: records {scored.counts.errors} errors, jiwer counts {errors}; "
            f"{make_again(path, remake_command(path), 'the score')}"
        )
    findings.note(f"{path}: {errors} errors by jiwer's count")


def _compare(path: Path, source: Path, expected: str, findings: Findings) -> None:
    """Check that ``source``, if it exists, has the hash that it had when ``path`` was made."""
    if not source.is_file():
        return
    actual = files.sha256(source)
    if actual != expected:
        findings.problem(
            f"{path}: stale: {source} has changed since (sha256 {actual[:12]} now, {expected[:12]} then); "
            f"remove it and make it again: {remove_folder(path)}"
        )
    else:
        findings.note(f"{path}: made from {source}, which is unchanged")


def audit_unknown(path: Path) -> AsrkdError:
    """Build the error for a path that is no artifact of asrkd."""
    if not path.exists():
        return AsrkdError(f"{path}: no such file or folder")
    return AsrkdError(
        f"{path}: not an artifact of asrkd: expected a cuts manifest (.jsonl, .jsonl.gz), or a folder that "
        "asrkd prepare, train, sweep, distill or score wrote"
    )
