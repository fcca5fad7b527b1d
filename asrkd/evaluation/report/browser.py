"""Utterance browser of the report: its choice of utterances, and their errors as JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from asrkd.evaluation.inheritance.error_classes import ErrorClass
from asrkd.evaluation.inheritance.error_places import AlignedHypothesis, WordError
from asrkd.evaluation.report.systems import ReportedSystem


def errors_by_utterance(systems: Sequence[ReportedSystem]) -> dict[str, list[int]]:
    """Return the number of errors of each system by utterance id."""
    errors: dict[str, list[int]] = {utterance.id: [] for utterance in systems[0].score.utterances}
    for system in systems:
        for utterance in system.score.utterances:
            errors[utterance.id].append(utterance.counts.errors)
    return errors


def instructive(errors: Mapping[str, Sequence[int]]) -> list[str]:
    """Sort ids by how instructive they are: largest difference between systems, then most errors, then id."""
    return sorted(errors, key=lambda i: (min(errors[i]) - max(errors[i]), -sum(errors[i]), i))


def shuffled(ids: Sequence[str]) -> list[str]:
    """Shuffle ids in a reproducible order: by their hashes."""
    return sorted(ids, key=lambda i: hashlib.sha256(i.encode("utf-8")).hexdigest())


def half_and_half(errors: Mapping[str, Sequence[int]]) -> list[str]:
    """Alternate between the most instructive ids and a random sample, so that any prefix has half of each."""
    turns = zip(instructive(errors), shuffled(list(errors)), strict=True)
    return list(dict.fromkeys(utt_id for pair in turns for utt_id in pair))


# Characters of JSON strings that would end a script element or a line of JavaScript.
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


@dataclass(frozen=True)
class BrowserUtterance:
    """An utterance with the hypothesis and the error classes of each system."""

    id: str
    speaker: str
    duration_s: float | None
    snr_db: float | None
    hypotheses: list[AlignedHypothesis]  # by system
    error_classes: list[Mapping[WordError, ErrorClass] | None]  # by system; None if it is no student


def browser_data(systems: Sequence[ReportedSystem], utterances: Sequence[BrowserUtterance]) -> dict[str, Any]:
    """Build the JSON object that the page's script reads.

    An error is ``[position, is_gap, hypothesis]``, of a student followed by its error class; ``hypothesis``
    is null for a deletion.
    """
    speakers = {name: number for number, name in enumerate(sorted({each.speaker for each in utterances}))}
    return {
        "unit": systems[0].score.unit.name,
        "systems": [
            {"name": system.label, "role": system.role, "css": system.style.css} for system in systems
        ],
        "speakers": list(speakers),
        "utterances": [_row(each, speakers[each.speaker]) for each in sorted(utterances, key=lambda u: u.id)],
    }


def json_in_script(record: Any) -> Markup:
    """Encode JSON for a script element, whatever its strings contain."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def _row(utterance: BrowserUtterance, speaker: int) -> dict[str, Any]:
    reference = list(utterance.hypotheses[0].words)
    row: dict[str, Any] = {"id": utterance.id, "speaker": speaker, "reference": reference}
    row["errors"] = [
        [_error(error, classes) for error in hypothesis.errors]
        for hypothesis, classes in zip(utterance.hypotheses, utterance.error_classes, strict=True)
    ]
    if utterance.duration_s is not None:
        row["duration"] = round(utterance.duration_s, 2)
    if utterance.snr_db is not None:
        row["snr"] = round(utterance.snr_db, 1)
    return row


def _error(error: WordError, classes: Mapping[WordError, ErrorClass] | None) -> list[Any]:
    fields = [error.place.position, int(error.place.is_gap), error.hypothesis]
    return fields if classes is None else [*fields, classes[error].value]
