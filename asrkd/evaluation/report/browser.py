"""The rows of the browser of utterances: each system's errors in them, as the page's script reads them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from asrkd.evaluation.inheritance.error_classes import ErrorClass
from asrkd.evaluation.inheritance.error_places import Aligned, WordError
from asrkd.evaluation.report.figures.styles import look
from asrkd.evaluation.report.systems import ReportedSystem


def errors_by_utterance(systems: Sequence[ReportedSystem]) -> dict[str, list[int]]:
    """The errors of each system, in their order, by utterance id."""
    counted: dict[str, list[int]] = {one.id: [] for one in systems[0].score.utterances}
    for system in systems:
        for one in system.score.utterances:
            counted[one.id].append(one.counts.errors)
    return counted


def instructive(errors: Mapping[str, Sequence[int]]) -> list[str]:
    """Ids in the order in which they are worth a look.

    Those first in which the systems differ most; of these, those with most
    errors; then by id.
    """
    return sorted(errors, key=lambda i: (min(errors[i]) - max(errors[i]), -sum(errors[i]), i))


def shuffled(ids: Sequence[str]) -> list[str]:
    """Ids in an order that has to do with nothing, and is always the same: that of a hash of theirs."""
    return sorted(ids, key=lambda i: hashlib.sha256(i.encode("utf-8")).hexdigest())


def half_and_half(errors: Mapping[str, Sequence[int]]) -> list[str]:
    """All ids, the most instructive and a random sample in turn: any first part is half of each."""
    turns = zip(instructive(errors), shuffled(list(errors)), strict=True)
    return list(dict.fromkeys(utt_id for pair in turns for utt_id in pair))


# What would end a script element, or a line of JavaScript, inside a JSON string.
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


@dataclass(frozen=True)
class BrowserUtterance:
    """An utterance as every system heard it."""

    id: str
    speaker: str
    duration_s: float | None
    snr_db: float | None
    heard: list[Aligned]  # by system
    fates: list[Mapping[WordError, ErrorClass] | None]  # by system; None where it is no student


def rows(systems: Sequence[ReportedSystem], shown: Sequence[BrowserUtterance]) -> dict[str, Any]:
    """What the page's script reads.

    An error is ``[index, is_gap, heard]``, of a student with its fate behind
    it; ``heard`` is null where a word was deleted.
    """
    speakers = {name: number for number, name in enumerate(sorted({one.speaker for one in shown}))}
    return {
        "unit": systems[0].score.unit.name,
        "systems": [
            {"name": own.label, "role": system.role, "css": own.css}
            for system, own in ((system, look(system)) for system in systems)
        ],
        "speakers": list(speakers),
        "utterances": [_row(one, speakers[one.speaker]) for one in sorted(shown, key=lambda u: u.id)],
    }


def json_in_script(record: Any) -> Markup:
    """JSON that can stand in a script element, whatever its strings hold."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def _row(one: BrowserUtterance, speaker: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": one.id, "s": speaker, "r": list(one.heard[0].words), "h": []}
    for aligned, fate_of in zip(one.heard, one.fates, strict=True):
        row["h"].append([_error(error, fate_of) for error in aligned.errors])
    if one.duration_s is not None:
        row["d"] = round(one.duration_s, 2)
    if one.snr_db is not None:
        row["n"] = round(one.snr_db, 1)
    return row


def _error(error: WordError, fate_of: Mapping[WordError, ErrorClass] | None) -> list[Any]:
    written = [error.place.position, int(error.place.is_gap), error.heard]
    return written if fate_of is None else [*written, fate_of[error].value]
