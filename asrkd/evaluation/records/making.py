"""Making of run records from model folders and their scores."""

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from asrkd.core import files, output_folder
from asrkd.core.artifacts import (
    COMMAND,
    LINEAGE,
    METRICS,
    MODEL_CONFIG,
    RUN_RECORD,
    SCORE,
    SCORE_REQUEST,
    WEIGHTS,
)
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_again
from asrkd.core.source_version import source_version
from asrkd.evaluation.records.record import RunRecord, ScoreRecord, WeightsRecord, read_record
from asrkd.models.directory import finish_command, is_restored, require_weights, train_again_command
from asrkd.scoring.score_folder import KINDS, check_up_to_date, read_score, remake_command
from asrkd.training.metrics import read_metrics, train_seconds

MOST_UPDATES = 500  # records of updates in a record; above it neighbors are averaged
_IN_LINEAGE = ("tokens", "experiment")  # keys of config.json that the lineage has too


def make_record(model: Path, score_names: Sequence[str] = ()) -> RunRecord:
    """Make the record of a trained model, or take that of a restored one.

    Args:
        model: model folder, complete.
        score_names: names of score folders in it; none for all that there are.

    Raises:
        AsrkdError: the model or a score is missing, unfinished or damaged, or a score is of other weights.
    """
    if is_restored(model):
        return _of_restored(model, score_names)
    stamp = output_folder.read_stamp(model, finish_command(model), ["params", "steps", "validation"])
    require_weights(model)
    lineage, config = files.read_json(model / LINEAGE), files.read_json(model / MODEL_CONFIG)
    records = read_metrics(model / METRICS)
    try:
        return RunRecord(
            system=model.resolve().name,
            seed=lineage["experiment"]["seed"],
            command=_command(model),
            source=source_version(),
            stack={
                "python": platform.python_version(),
                "torch": lineage["torch"],
                "asrkd": lineage["asrkd"],
            },
            lineage=lineage,
            model={name: value for name, value in config.items() if name not in _IN_LINEAGE},
            weights=WeightsRecord((model / WEIGHTS).stat().st_size, files.sha256(model / WEIGHTS)),
            stamp=stamp,
            train_seconds=train_seconds(records),
            log=_log(records),
            updates=_updates(records),
            scores={name: _score(model, name) for name in score_names or _all_scores(model)},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise AsrkdError(
            f"{model}: {LINEAGE} or {MODEL_CONFIG} is not as asrkd train writes it ({error!r}); restore it "
            "from a copy"
        ) from None


def _of_restored(model: Path, score_names: Sequence[str]) -> RunRecord:
    """Return the record that a folder was restored from, with some of its scores."""
    record = read_record(model / RUN_RECORD)
    if missing := [name for name in score_names if name not in record.scores]:
        raise AsrkdError(
            f"{model}: restored from a record, which has no {missing[0]} (it has "
            f"{', '.join(record.scores) or 'no scores'}); {train_again_command(model)}"
        )
    return replace(record, scores={name: record.scores[name] for name in score_names or record.scores})


def _all_scores(model: Path) -> list[str]:
    return sorted(path.parent.name for path in model.glob(f"*/{SCORE}"))


def _score(model: Path, name: str) -> ScoreRecord:
    """Make the record of a score."""
    folder = model / name
    if not folder.is_dir():
        raise AsrkdError(f"{folder}: no such score; make it with: {remake_command(folder)}")
    score = read_score(folder)
    check_up_to_date(folder, model)
    request = files.read_json(folder / SCORE_REQUEST)
    if not isinstance(request, dict) or "model" not in request:
        expected = command("asrkd", "score", model, "--cuts", "CUTS")
        raise AsrkdError(f"{folder}: a score of transcripts, expected one of: {expected}")
    rows = _hypotheses(folder, {utterance.id for utterance in score.utterances})
    timed = {utterance.id for utterance in score.utterances if utterance.emission is not None}
    return ScoreRecord(
        set=score.set_name,
        command=_command(folder),
        request=request,
        params=files.read_json(folder / SCORE).get("params"),
        counts={kind: getattr(score.counts, kind) for kind in KINDS},
        references_sha256=score.references_sha256,
        hypotheses={row["id"]: row["text"] for row in rows},
        emissions={
            row["id"]: {name: row[name] for name in ("emission_times", "chunk_times") if name in row}
            for row in rows
            if row["id"] in timed
        },
    )


def _hypotheses(folder: Path, ids: set[str]) -> list[dict[str, Any]]:
    """Read the hypotheses of a score as the search gave them: utterances.jsonl has them normalized."""
    rows = [
        row for path in sorted((folder / "hypotheses").glob("*.jsonl")) for _, row in files.read_jsonl(path)
    ]
    texts: dict[Any, Any] = {row.get("id"): row.get("text") for row in rows}
    if texts.keys() != ids or not all(isinstance(text, str) for text in texts.values()):
        remedy = make_again(folder, remake_command(folder), "the score")
        raise AsrkdError(f"{folder / 'hypotheses'}: not the hypotheses of all scored utterances; {remedy}")
    return rows


def _command(folder: Path) -> str | None:
    """Return the command in ``command.json``, without ``--out``; None if it is unknown."""
    described = files.read_json(folder / COMMAND) if (folder / COMMAND).is_file() else None
    line = described.get("command") if isinstance(described, dict) else None
    return line if isinstance(line, str) else None


def _log(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of a log without those of updates, and without the end, which the stamp has.

    Numbers that are not finite are left out, as JSON has no words for them.
    """
    return [
        {name: value for name, value in record.items() if _is_json(value)}
        for record in records
        if record["kind"] not in ("train", "end")
    ]


def _updates(records: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the records of updates by field, at most :data:`MOST_UPDATES` of them.

    A group of neighbors has the step, learning rate and epoch of its last, and the means of their losses.
    """
    updates = [record for record in records if record["kind"] == "train"]
    size = max(1, -(-len(updates) // MOST_UPDATES))
    groups = [updates[start : start + size] for start in range(0, len(updates), size)]
    names = dict.fromkeys(name for record in updates for name in record if name.startswith("loss"))
    last = {name: [_finite(group[-1].get(name)) for group in groups] for name in ("step", "lr", "epoch")}
    return last | {name: [_mean(record.get(name) for record in group) for group in groups] for name in names}


def _mean(values: Iterable[Any]) -> float | None:
    """Return the mean of the finite numbers among values; None if there are none."""
    finite = [value for value in map(_finite, values) if value is not None]
    return mean(finite) if finite else None


def _finite(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and _is_json(value) else None


def _is_json(value: Any) -> bool:
    """Return whether a value of a log can be written as JSON: it is no infinite or undefined number."""
    return not isinstance(value, float) or math.isfinite(value)
