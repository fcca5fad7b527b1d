"""The rows of the browser of utterances: each system's errors in them, as the page's script reads them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from asrkd.inheritance.fates import Fate
from asrkd.inheritance.places import Aligned, WordError
from asrkd.reporting.looks import look
from asrkd.reporting.systems import System

# What would end a script element, or a line of JavaScript, inside a JSON string.
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


@dataclass(frozen=True)
class Utterance:
    """An utterance as every system heard it."""

    id: str
    speaker: str
    duration_s: float | None
    snr_db: float | None
    heard: list[Aligned]  # by system
    fates: list[Mapping[WordError, Fate] | None]  # by system; None where it is no student


def rows(systems: Sequence[System], shown: Sequence[Utterance]) -> dict[str, Any]:
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


def _row(one: Utterance, speaker: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": one.id, "s": speaker, "r": list(one.heard[0].words), "h": []}
    for aligned, fate_of in zip(one.heard, one.fates, strict=True):
        row["h"].append([_error(error, fate_of) for error in aligned.errors])
    if one.duration_s is not None:
        row["d"] = round(one.duration_s, 2)
    if one.snr_db is not None:
        row["n"] = round(one.snr_db, 1)
    return row


def _error(error: WordError, fate_of: Mapping[WordError, Fate] | None) -> list[Any]:
    written = [error.place.position, int(error.place.is_gap), error.heard]
    return written if fate_of is None else [*written, fate_of[error].value]
