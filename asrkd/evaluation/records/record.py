"""Form of a run record: the JSON file of `asrkd record`.

A record holds what a training and its scores show, without weights and without references, so that it can be
committed, mailed and compared again: ``lineage`` with the resolved config, ``model``, ``stamp``,
``log``, and of each score its request and the hypothesis of each utterance. References are those of the
corpus; :mod:`asrkd.evaluation.records.restoring` counts the errors again.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Count, Finite, Name, Positive, Record, Schema, Seconds, Sha256
from asrkd.core.source_version import SourceVersion
from asrkd.scoring.word_times import TimesRecord

KIND, VERSION = "asrkd-run", 1
LINE_WIDTH = 118  # characters; a JSON object or list that fits is written in one line


@dataclass(frozen=True)
class ScoreRecord:
    """Record of a score of the model."""

    set: str  # name of the test set
    command: str | None  # the command that made it, without --out
    request: dict[str, Any]  # model, cuts, references, search and rules, as in request.json
    params: int | None  # parameters of the model
    counts: dict[str, int]  # hits, substitutions, deletions and insertions over the set
    references_sha256: str  # hash of ids and normalized references
    hypotheses: dict[str, str]  # recognized text by utterance id, before normalization
    # Emission times of their words by utterance id, where utterances.jsonl has them too.
    emissions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class WeightsRecord:
    """Identity of the exported weights, which the record does not hold."""

    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class RunRecord:
    """Record of a training and of its scores."""

    system: str  # name of the model folder
    seed: int
    command: str | None  # the command that made the model, without --out
    source: SourceVersion | None  # of asrkd when the record was made; None: installed outside of git
    stack: dict[str, str]  # versions of python, torch and asrkd
    lineage: dict[str, Any]  # as lineage.json, with the resolved config under ``experiment``
    model: dict[str, Any]  # architecture and version, as in config.json
    weights: WeightsRecord
    stamp: dict[str, Any]  # params, steps, validation
    train_seconds: float | None  # time in updates and validation
    log: list[dict[str, Any]]  # records of metrics.jsonl without those of updates and the end
    updates: dict[
        str, list[float | None]
    ]  # records of updates by field: step, loss, lr, epoch; averaged if many
    scores: dict[str, ScoreRecord]  # by the name of their folder


class _Source(Record):
    commit: Name
    dirty: bool


class _Weights(Record):
    num_bytes: Count
    sha256: Sha256


class _Stamp(Record):
    params: Count
    steps: Positive
    validation: dict[str, Any]


class _LogRecord(Record):
    kind: Name
    step: Count


class _Lineage(Record):
    tokens: Sha256
    experiment: dict[str, Any]


class _Counts(Record):
    hits: Count
    substitutions: Count
    deletions: Count
    insertions: Count


class _Emission(Record):
    emission_times: TimesRecord
    chunk_times: TimesRecord = []


class _Score(Record):
    set: Name
    command: str | None
    request: dict[str, Any]
    params: Count | None
    counts: _Counts
    references_sha256: Sha256
    hypotheses: dict[Name, str]
    emissions: dict[Name, _Emission] = {}


class _Run(Record):
    kind: Literal["asrkd-run"]
    version: Positive
    system: Name
    seed: Count
    command: str | None
    source: _Source | None
    stack: dict[str, str]
    lineage: _Lineage
    model: dict[str, Any]
    weights: _Weights
    stamp: _Stamp
    train_seconds: Seconds | None
    log: list[_LogRecord]
    updates: dict[Name, list[Finite | None]]
    scores: dict[Name, _Score]


_RUN: Schema[Any] = Schema(_Run)


def record_text(record: RunRecord) -> str:
    """Return the text of a record's file: JSON with sorted keys, short objects in one line each."""
    fields: dict[str, Any] = {"kind": KIND, "version": VERSION} | asdict(record)
    for score in fields["scores"].values():
        if not score["emissions"]:  # as of records that are older
            del score["emissions"]
    return f"{_json(fields, 0)}\n"


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record; the file is whole or absent."""
    with files.create(path) as stream:
        stream.write(record_text(record))


def read_record(path: Path) -> RunRecord:
    """Read the file of a record.

    Raises:
        AsrkdError: no such file, damaged, or of another kind or version.
    """
    fields = files.read_json(path)
    remedy = "use a file written by asrkd record MODEL --out FILE"
    if not isinstance(fields, dict) or (fields.get("kind"), fields.get("version")) != (KIND, VERSION):
        raise AsrkdError(f"{path}: not a run record of this version of asrkd; {remedy}")
    try:
        _RUN.check(fields)
    except ValueError as error:
        raise AsrkdError(f"{path}: {error}; {remedy}") from None
    if bad := [name for name in fields["scores"] if Path(name).name != name or name == ".." or "\0" in name]:
        raise AsrkdError(f"{path}: scores.{bad[0]}: not the name of a folder; {remedy}")
    if problem := _problem_of(fields["updates"]):
        raise AsrkdError(f"{path}: updates: {problem}; {remedy}")
    if problem := _contradiction(fields["log"], fields["stamp"]):
        raise AsrkdError(f"{path}: {problem}; {remedy}")
    names = RunRecord.__dataclass_fields__.keys() - {"scores", "source", "weights"}
    return RunRecord(
        **{name: fields[name] for name in names},
        source=None if fields["source"] is None else _only(SourceVersion, fields["source"]),
        weights=_only(WeightsRecord, fields["weights"]),
        scores={name: _only(ScoreRecord, score) for name, score in fields["scores"].items()},
    )


def _problem_of(updates: dict[str, list[Any]]) -> str | None:
    """Describe what is wrong with the lists of records of updates; None if nothing is."""
    if "step" not in updates or not all(isinstance(step, int) and step >= 0 for step in updates["step"]):
        return "expected a list of whole numbers as step"
    return "its lists differ in length" if len(set(map(len, updates.values()))) > 1 else None


def _contradiction(log: list[dict[str, Any]], stamp: dict[str, Any]) -> str | None:
    """Describe a number of the validations that contradicts another, as one that was edited does."""
    validations = [row for row in log if row["kind"] == "validation"]
    for row in validations:
        for name in [name for name in row if name == "wer" or name.startswith("wer_")]:
            errors, words = (row.get(name.replace("wer", part, 1), 0) for part in ("errors", "words"))
            if not all(isinstance(number, (int, float)) for number in (row[name], errors, words)):
                return f"log: {name} at step {row['step']} is {row[name]!r}, expected a number"
            if words and not math.isclose(row[name] * words, errors, rel_tol=1e-9):
                return (
                    f"log: {name} at step {row['step']} is {row[name]}, of {errors} errors in {words} words"
                )
    last = validations[-1] if validations else {}
    for name, value in stamp["validation"].items():
        if last.get(name, value) != value:
            return f"stamp.validation.{name} is {value!r}, in the log {last[name]!r}"
    return None


def _only(kind: Any, fields: dict[str, Any]) -> Any:
    """Build a dataclass of its fields; others are ignored, and may be missing if they have a default."""
    return kind(**{name: fields[name] for name in kind.__dataclass_fields__ if name in fields})


def _json(value: Any, indent: int) -> str:
    """Format a value as JSON: in one line if it fits or is a list of numbers, else a line for each item."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    has_inner = isinstance(value, dict) or (isinstance(value, list) and any(map(_is_long, value)))
    if len(line) + indent <= LINE_WIDTH or not has_inner:
        return line
    inner, outer = " " * (indent + 2), " " * indent
    if isinstance(value, list):
        items, ends = [_json(item, indent + 2) for item in value], "[]"
    else:
        keys = sorted(value)
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_json(value[key], indent + 2)}" for key in keys]
        ends = "{}"
    lines = f",\n{inner}".join(items)
    return f"{ends[0]}\n{inner}{lines}\n{outer}{ends[1]}"


def _is_long(item: Any) -> bool:
    return isinstance(item, (dict, list, str))
