"""Output folders: whose they are, whether they are finished, and refusing the wrong ones.

A stage writes a *record* of what it was asked (inputs, options, hashes)
first and a *stamp* last. A folder with the same record is gone on with; one
with the same record and a stamp is complete; anything else is refused, so
that no run ever mixes with another or overwrites what somebody keeps.
"""

import re
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import STAMP
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Schema
from asrkd.core.shell import remove, remove_folder, then


class State(Enum):
    """What an output folder holds before a stage starts."""

    NEW = "new"
    PARTIAL = "partial"
    COMPLETE = "complete"


def claim(out: Path, record_name: str, record: dict[str, Any]) -> State:
    """Say what ``out`` holds, as :func:`survey` does; if it is new, make it and write ``record`` into it.

    Raises:
        AsrkdError: ``out`` belongs to something else, or was made from something else.
    """
    state = survey(out, record_name, record)
    if state is State.NEW:
        files.write_json(out / record_name, record)
    return state


def survey(out: Path, record_name: str, record: dict[str, Any]) -> State:
    """Say what ``out`` holds, and change nothing.

    Args:
        out: the folder a stage will write to.
        record_name: file in ``out`` that says what it was made from.
        record: JSON-able description of everything that decides the contents.

    Raises:
        AsrkdError: ``out`` belongs to something else, or was made from
            something else; the message names the first difference.
    """
    found = inspect(out, record_name)
    if found is None:
        return State.NEW
    place = first_difference(found, record)
    if place:
        remedy = f"give another --out, or remove it: {remove_folder(out)}"
        raise AsrkdError(f"{out}: made from something else: {place}; {remedy}")
    return State.COMPLETE if (out / STAMP).is_file() else State.PARTIAL


def inspect(out: Path, record_name: str) -> Any | None:
    """The record in ``out``; None if the folder is absent or empty.

    Raises:
        AsrkdError: it holds something, but not a record of this name.
    """
    if out.exists() and not out.is_dir():
        raise AsrkdError(f"{out}: is a file, expected a folder; give another --out")
    # Looked at before the record, which another process of the same stage may be writing just now.
    strangers = sorted(p.name for p in out.iterdir() if p.suffix != ".partial") if out.exists() else []
    record = out / record_name
    if record.is_file():
        return files.read_json(record)
    if strangers:
        raise AsrkdError(
            f"{out}: holds {strangers[0]!r} but no {record_name}, so it is not ours to write to; "
            "give another --out"
        )
    return None


def stamp(out: Path, summary: dict[str, Any]) -> None:
    """Declare ``out`` complete; the last thing that a stage writes."""
    files.write_json(out / STAMP, summary)


def read_stamp(
    out: Path, maker: str, keys: Collection[str] = (), form: Schema[Any] | None = None
) -> dict[str, Any]:
    """The summary of a complete folder.

    Args:
        out: the folder.
        maker: the command that makes such a folder, for the message; as :mod:`asrkd.core.shell` writes it.
        keys: that its summary must have.
        form: that its summary must have, where names alone do not tell.

    Raises:
        AsrkdError: it is not there, unfinished or of another stage; the message
            says how to complete it.
    """
    if not out.is_dir():
        raise AsrkdError(f"{out}: no such folder; make it with: {maker}")
    if not (out / STAMP).is_file():
        raise AsrkdError(f"{out}: unfinished (no {STAMP}); finish it with: {maker}")
    summary = files.read_json(out / STAMP)
    problem = "" if isinstance(summary, dict) and summary.keys() >= set(keys) else "it lacks fields"
    if form is not None and not problem:
        try:
            form.check(summary)
        except ValueError as error:
            problem = str(error)
    if problem:
        remedy = then(remove(out / STAMP), maker)
        raise AsrkdError(
            f"{out / STAMP}: not a stamp of this stage ({problem}); remove it, and finish with: {remedy}"
        )
    return dict(summary)


def first_difference(found: Any, asked: Any, place: str = "") -> str | None:
    """Where two JSON-able values first differ, in words; None if they do not."""
    if isinstance(found, dict) and isinstance(asked, dict):
        for key in sorted(found.keys() | asked.keys()):
            inner = f"{place}.{key}" if place else str(key)
            if key not in found:
                return f"{inner} is {_short(asked[key])} now and was not set then"
            if key not in asked:
                return f"{inner} was {_short(found[key])} then and is not set now"
            if difference := first_difference(found[key], asked[key], inner):
                return difference
        return None
    if isinstance(found, list) and isinstance(asked, list) and len(found) == len(asked):
        for index, pair in enumerate(zip(found, asked, strict=True)):
            if difference := first_difference(*pair, f"{place}.{index}"):
                return difference
        return None
    if found == asked:
        return None
    if _is_sha256(found) and _is_sha256(asked):
        return f"{place} was another then (sha256 {found[:12]} then, {asked[:12]} now)"
    return f"{place} was {_short(found)} then and is {_short(asked)} now"


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
