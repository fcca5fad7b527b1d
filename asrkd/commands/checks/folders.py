"""Prepared corpora, models, quantizers and scores: whole, and made from what is there now."""

from itertools import islice
from pathlib import Path
from typing import Any

import jiwer

from asrkd.commands.checks.cuts import audit_cuts, prepare_anew
from asrkd.commands.checks.findings import Findings
from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT, LINEAGE, METRICS, QUANTIZER_WEIGHTS, SCORE_REQUEST, WEIGHTS
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_anew, remove_folder
from asrkd.data.cuts.folds import learned_by
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.records import is_transcribed, reference
from asrkd.data.tokens import Tokens
from asrkd.models.directory import finish_command, load_any_model
from asrkd.objectives.too_short import TooShort
from asrkd.quantizer.storage import load_quantizer
from asrkd.scoring.score_folder import ScoreFolder, read_score, remake_command
from asrkd.scoring.units import spaced
from asrkd.scoring.word_alignment import LEVENSHTEIN
from asrkd.targets.sources.text import read_sentences
from asrkd.training.metrics import read_metrics

TEXTS_AT_ONCE = 10_000


def audit_prepared(path: Path, findings: Findings, *, deep: bool) -> None:
    """Look over a folder of `asrkd prepare`: stamp, manifests, the files that they name, tokens."""
    with findings.looking(path):
        maker = read_command(path) or command("asrkd", "prepare", "...", "--out", path)
        splits = output_folder.read_stamp(path, maker, ["splits", "num_tokens"])
        for row in splits["splits"]:
            manifest = path / f"cuts_{row['split']}.jsonl.gz"
            if not row["num_cuts"]:
                continue
            found = audit_cuts(manifest, findings, deep=deep and row["split"] != "train_small")
            if found != row["num_cuts"]:
                findings.wrong(
                    f"{manifest}: holds {found} cuts, the stamp says {row['num_cuts']}; {prepare_anew(path)}"
                )
        if splits["num_tokens"] is not None:
            tokens = Tokens.load(path)
            findings.saw(f"{path}: {tokens.size} tokens")
            _audit_lengths(path, tokens, findings)


def _audit_lengths(path: Path, tokens: Tokens, findings: Findings) -> None:
    """How many transcripts of ``train`` are too long for CTC of the tokens that lie beside it."""
    manifest, dropped = path / "cuts_train.jsonl.gz", TooShort()
    if not manifest.is_file():
        return
    for line in stream_lines(manifest):
        if line.cut.features is not None and is_transcribed(line.cut.texts):
            dropped.add(line.cut, tokens.encode(reference(line.cut)))
    for told in dropped.lines(f"{manifest}: CTC of these tokens"):
        findings.saw(told)


def audit_model(path: Path, findings: Findings) -> None:
    """Look over a folder of `asrkd train`: its weights load, and what it was trained on is what is there."""
    with findings.looking(path):
        output_folder.read_stamp(path, finish_command(path), ["params", "steps"])
        model = load_any_model(path)
        findings.saw(f"{path}: weights {model.weights_sha256[:12]}")
    with findings.looking(path):
        lineage = files.read_json(path / LINEAGE)
        data = lineage["experiment"]["data"]
        if "train_text" in data:
            _audit_text(path, data, lineage, findings)
            return
        for name in ("train", "dev"):
            with findings.looking(path):
                _audit_lineage(path, Path(data[name]), name, lineage, findings)
        for store, expected in lineage["target_stores"].items():
            _compare(path, Path(store) / CONTRACT, expected, findings)
        for line in _dropped(path):
            findings.saw(f"{path}: {line}")
        asked = lineage.get("live_targets", {"teachers": {}, "quantizers": {}})
        for teacher, hashes in asked["teachers"].items():
            _compare(path, Path(teacher) / WEIGHTS, hashes["weights_sha256"], findings)
        for quantizer, expected in asked["quantizers"].items():
            _compare(path, Path(quantizer) / QUANTIZER_WEIGHTS, expected, findings)


def _dropped(path: Path) -> list[str]:
    """What the run's log says that was left out of the targets before the first step."""
    told = [record.get("notes") for record in read_metrics(path / METRICS) if record["kind"] == "targets"]
    return [str(line) for lines in told if isinstance(lines, list) for line in lines]


def _audit_text(path: Path, data: dict[str, Any], lineage: dict[str, Any], findings: Findings) -> None:
    """Whether a language model's text is what it was trained and validated on."""
    for name in ("train", "dev"):
        source = Path(data[f"{name}_text"])
        if not source.is_file():
            findings.saw(f"{path}: its {name} text is not at {source} any more")
            continue
        with findings.looking(path):
            found = read_sentences(source, Tokens.load(path), data["max_sentence"]).digest()
            if found == lineage[f"{name}_text"]:
                findings.saw(f"{path}: {name} text as in {source}")
            else:
                findings.wrong(f"{path}: stale: the text of {source} changed since; {_train_anew(path)}")


def _train_anew(path: Path) -> str:
    again = read_command(path)
    known = f"it was made by: {again}; " if again else ""
    return f"{known}train anew into another --out, or remove it first: {remove_folder(path)}"


def _audit_lineage(
    path: Path, manifest: Path, name: str, lineage: dict[str, Any], findings: Findings
) -> None:
    """Whether the cuts of ``manifest`` are those that the model was trained or validated on."""
    if not manifest.is_file():
        findings.saw(f"{path}: its {name} cuts are not at {manifest} any more")
        return
    is_learned = learned_by(lineage["experiment"]["data"], str(path / LINEAGE))
    digests, texts = [], []
    for line in stream_lines(manifest):
        if name == "dev" or is_learned(line.cut):
            digests.append(line.cut.digest)
            texts.append(line.cut.texts)
    for words, key, values in (("audio", "cuts", digests), ("transcripts", "texts", texts)):
        if files.sha256_of(values) != lineage[f"{name}_{key}"]:
            findings.wrong(f"{path}: stale: the {words} of {manifest} changed since; {_train_anew(path)}")
            return
    findings.saw(f"{path}: {name} cuts as in {manifest}")


def audit_quantizer(path: Path, findings: Findings) -> None:
    """Look over a folder of `asrkd distill quantizer`: its weights are those that it describes."""
    with findings.looking(path):
        output_folder.read_stamp(path, command("asrkd", "distill", "quantizer", "...", "--out", path))
        loaded = load_quantizer(path)
        sizes = f"{loaded.quantizer.num_codebooks} codebooks of {loaded.quantizer.codebook_size}"
        findings.saw(f"{path}: {sizes}, weights {loaded.identity[:12]}")


def audit_score(path: Path, findings: Findings) -> None:
    """Look over a folder of `asrkd score`: whole, and of the model that it lies in, if it lies in one."""
    with findings.looking(path):
        scored = read_score(path)
        counted = f"{scored.counts.num_words} {scored.unit.nouns} of {len(scored.utterances)} utterances"
        findings.saw(f"{path}: {counted} aligned by {scored.alignment}, normalizer {scored.normalizer}")
        if scored.alignment == LEVENSHTEIN:
            _recount(path, scored, findings)
        expected = files.read_json(path / SCORE_REQUEST).get("model")
        if expected is not None:  # finished transcripts have none
            _compare(path, path.parent / WEIGHTS, expected, findings)


def _recount(path: Path, scored: ScoreFolder, findings: Findings) -> None:
    """A second opinion on the errors: jiwer's, over the texts that the folder holds."""
    errors, utterances = 0, iter(scored.utterances)
    while some := list(islice(utterances, TEXTS_AT_ONCE)):
        said = [spaced(item.reference, scored.unit) for item in some]
        found = jiwer.process_words(said, [spaced(item.hypothesis, scored.unit) for item in some])
        errors += found.substitutions + found.deletions + found.insertions
    if errors != scored.counts.errors:
        findings.wrong(
            f"{path}: says {scored.counts.errors} errors, jiwer counts {errors}; "
            f"{make_anew(path, remake_command(path), 'the score')}"
        )
    findings.saw(f"{path}: {errors} errors by jiwer's count")


def _compare(path: Path, source: Path, expected: str, findings: Findings) -> None:
    """Note that ``path`` is stale if ``source`` is there and has other bytes than it had."""
    if not source.is_file():
        return
    found = files.sha256(source)
    if found != expected:
        findings.wrong(
            f"{path}: stale: {source} was made anew since (sha256 {found[:12]} now, {expected[:12]} then); "
            f"remove it and make it anew: {remove_folder(path)}"
        )
    else:
        findings.saw(f"{path}: made from {source} as it is")


def audit_unknown(path: Path) -> AsrkdError:
    """The error of a path that holds no artifact of ours."""
    if not path.exists():
        return AsrkdError(f"{path}: no such file or folder")
    return AsrkdError(
        f"{path}: is no artifact of asrkd: expected a cuts manifest (.jsonl, .jsonl.gz), or a folder that "
        "prepare, train, distill or score made"
    )
