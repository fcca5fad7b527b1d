"""Output folders: the record of their inputs, the stamp of a finished folder, and refusal of other folders.

A command writes a *record* of its request (inputs, options, hashes) first and
a *stamp* last. A folder with the same record is resumed; one with the same
record and a stamp is complete; any other folder is refused, so that no run
mixes with another or overwrites a user's files.
"""

import re
from collections.abc import Collection, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import STAMP
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Schema
from asrkd.core.shell import remove, remove_folder, then


class State(Enum):
    """State of an output folder before a command starts."""

    NEW = "new"
    PARTIAL = "partial"
    COMPLETE = "complete"


def claim(out: Path, record_name: str, record: dict[str, Any]) -> State:
    """Return the state of ``out``, as :func:`survey` does; create a new folder and write its record.

    Raises:
        AsrkdError: ``out`` is not of this command, or was created with other settings.
    """
    state = survey(out, record_name, record)
    if state is State.NEW:
        files.write_json(out / record_name, record)
    return state


def survey(
    out: Path, record_name: str, record: dict[str, Any], names: Mapping[str, str] | None = None
) -> State:
    """Return the state of ``out`` without changing it.

    Args:
        out: output folder of a command.
        record_name: file in ``out`` with the record of its request.
        record: description, as JSON, of all that decides the contents.
        names: what a user calls the things in the record, by key, for the message.

    Raises:
        AsrkdError: ``out`` is not of this command, or was created with other
            settings; the message names the first difference.
    """
    stored = inspect(out, record_name)
    if stored is None:
        return State.NEW
    _check_same(out, stored, record, names or {})
    return State.COMPLETE if (out / STAMP).is_file() else State.PARTIAL


def check_settings(out: Path, record_name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a folder as :func:`survey` does, where only a part of the record is known.

    Args:
        out: output folder of a command.
        record_name: file in ``out`` with the record of its request.
        settings: some of the keys of the record.

    Raises:
        AsrkdError: ``out`` is not of this command, or one of ``settings`` differs in its record.
    """
    stored = inspect(out, record_name)
    if isinstance(stored, dict):
        _check_same(out, {key: stored[key] for key in settings if key in stored}, dict(settings), {})


def _check_same(out: Path, stored: Any, record: dict[str, Any], names: Mapping[str, str]) -> None:
    kinds = [each.get("kind") if isinstance(each, dict) else None for each in (stored, record)]
    if None not in kinds and kinds[0] != kinds[1]:
        raise AsrkdError(f"{out}: holds {kinds[0]!r}, expected {kinds[1]!r} or nothing; give another --out")
    if difference := first_difference(stored, record, names=names):
        remedy = f"give another --out, or remove it: {remove_folder(out)}"
        raise AsrkdError(f"{out}: created with other settings: {difference}; {remedy}")


def inspect(out: Path, record_name: str) -> Any | None:
    """Read the record in ``out``; return None if the folder is absent or empty.

    Raises:
        AsrkdError: the folder holds files, but no record of this name.
    """
    if out.exists() and not out.is_dir():
        raise AsrkdError(f"{out}: is a file, expected a folder; give another --out")
    # Listed before the record is read, as another process of the same command may be writing the record.
    others = sorted(p.name for p in out.iterdir() if p.suffix != ".partial") if out.exists() else []
    record = out / record_name
    if record.is_file():
        return files.read_json(record)
    if others:
        raise AsrkdError(
            f"{out}: holds {others[0]!r} but no {record_name}, so another program wrote it; "
            "give another --out"
        )
    return None


def stamp(out: Path, summary: dict[str, Any]) -> None:
    """Mark ``out`` as complete; the last file that a command writes."""
    files.write_json(out / STAMP, summary)


def read_stamp(
    out: Path, maker: str, keys: Collection[str] = (), form: Schema[Any] | None = None
) -> dict[str, Any]:
    """Read the summary of a complete folder.

    Args:
        out: the folder.
        maker: the command that makes such a folder, for messages; as :mod:`asrkd.core.shell` writes it.
        keys: keys that the summary must have.
        form: schema of the summary.

    Raises:
        AsrkdError: the folder is absent, unfinished or of another command; the message
            says how to complete it.
    """
    if not out.is_dir():
        raise AsrkdError(f"{out}: no such folder; make it with: {maker}")
    if not (out / STAMP).is_file():
        raise AsrkdError(f"{out}: unfinished (no {STAMP}); finish it with: {maker}")
    summary = files.read_json(out / STAMP)
    problem = "" if isinstance(summary, dict) and summary.keys() >= set(keys) else "fields are missing"
    if form is not None and not problem:
        try:
            form.check(summary)
        except ValueError as error:
            problem = str(error)
    if problem:
        remedy = then(remove(out / STAMP), maker)
        raise AsrkdError(
            f"{out / STAMP}: not a stamp of this command ({problem}); remove it, and finish with: {remedy}"
        )
    return dict(summary)


def first_difference(
    old: Any, new: Any, place: str = "", names: Mapping[str, str] = MappingProxyType({})
) -> str | None:
    """Describe the first difference of two JSON-able values; return None if they are equal.

    Args:
        old: value in the record.
        new: value of the request.
        place: keys that lead to the values, joined by dots.
        names: what a user calls the values, by key.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{place}.{key}" if place else names.get(key, str(key))
            if key not in old:
                return f"{inner} was not set, is now {_short(new[key])}"
            if key not in new:
                return f"{inner} was {_short(old[key])}, is now not set"
            if difference := first_difference(old[key], new[key], inner):
                return difference
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            if difference := first_difference(*pair, f"{place}.{index}"):
                return difference
        return None
    if old == new:
        return None
    if _is_sha256(old) and _is_sha256(new):
        return f"{place} has changed (sha256 was {old[:12]}, is now {new[:12]})"
    return f"{place} was {_short(old)}, is now {_short(new)}"


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
