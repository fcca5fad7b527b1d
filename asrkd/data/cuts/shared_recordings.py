"""Recordings that cuts are of, and which cuts share one.

The recordings of a cut are its ``parts``, the ids of the recordings that its
audio was joined from, or else its recording. An id names one recording,
whoever speaks in it. Copies at other speeds are of the recordings of the
utterance that they were made of.
"""

import json
import re
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Name, Record, Schema
from asrkd.data.cuts.packed import PackedCuts

PARTS = "parts"  # custom field of a cut; in a table, the column


class _Parts(Record):
    parts: list[Name]


_PARTS: Schema[Any] = Schema(_Parts)


def utterance_of(cut_id: str) -> str:
    """Return the id of the cut that a speed-perturbed copy, ``<id>_sp<speed>``, was made of."""
    return re.sub(r"_sp[0-9.]+$", "", cut_id)


def recordings_of(cuts: PackedCuts, manifest: Path) -> list[frozenset[str]]:
    """Return the ids of the recordings of each cut, at least one.

    Args:
        cuts: the cuts of a manifest.
        manifest: the manifest, for messages.

    Raises:
        AsrkdError: a cut has neither parts nor a recording, or parts that are not a list of ids.
    """
    recordings = []
    for line, record in zip(cuts.lines(), cuts.records, strict=True):
        parts = (json.loads(line).get("custom") or {}).get(PARTS)
        if parts is not None:
            recordings.append(frozenset(_checked(parts, f"{manifest}: cut {record.id!r}")))
        elif record.recording is not None:
            recordings.append(frozenset({utterance_of(record.recording)}))
        else:
            raise AsrkdError(
                f"{manifest}: cut {record.id!r} has neither a recording nor {PARTS}, which decide what cuts "
                "share; make the manifest anew from audio: asrkd prepare cuts DIR --out DATA"
            )
    return recordings


def sharing(cuts: PackedCuts, manifest: Path, recordings: AbstractSet[str]) -> set[str]:
    """Return the ids of the cuts that are of at least one of ``recordings``.

    Raises:
        AsrkdError: as :func:`recordings_of`.
    """
    rows = zip(cuts.records, recordings_of(cuts, manifest), strict=True)
    return {record.id for record, members in rows if not members.isdisjoint(recordings)}


def _checked(parts: Any, where: str) -> list[str]:
    """Return the parts of a cut; AsrkdError unless they are ids."""
    try:
        ids: list[str] = _PARTS.check({PARTS: parts}).parts
    except ValueError as error:
        raise AsrkdError(f"{where}: {error}: the ids of the recordings that it was joined from") from None
    if not ids:
        raise AsrkdError(f"{where}: {PARTS} is empty, expected the ids of recordings, or no such field")
    return ids
