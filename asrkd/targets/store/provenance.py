"""Provenance of a store: paths of its teacher, models and cuts, to detect that they have changed.

``sources.json`` beside the contract is informative only: paths relative to
the store, and the command that makes it without ``--out``, so that equal
stores side by side have equal bytes in this file too. A store that was moved
away from its sources remains valid.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import PROVENANCE, QUANTIZER_WEIGHTS, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_again, remove
from asrkd.targets.store import fields
from asrkd.teachers.torchaudio_bundles import is_bundle


@dataclass(frozen=True)
class Sources:
    """Sources of a store, as paths, and the command that made it."""

    command: str | None  # typed command, relative to its working directory, without --out; None: unknown
    teacher: Path | None  # path, or name of a torchaudio bundle; None: imported
    cuts: tuple[Path, ...]
    quantizer: Path | None = None
    folds: tuple[
        Path, ...
    ] = ()  # teachers by the fold that each was not trained on; ``teacher`` is the first
    noise: Path | None = None  # noise cuts that were mixed into the cuts
    lm: Path | None = None  # language model of the search; None also in older stores


def sources_record(out: Path, sources: Sources) -> dict[str, Any]:
    """Return what ``sources.json`` in the store ``out`` records."""

    def relative(path: Path | None) -> str | None:
        return None if path is None else str(path) if is_bundle(path) else os.path.relpath(path, out)

    record: dict[str, Any] = {
        "command": sources.command,
        "teacher": relative(sources.teacher),
        "cuts": [relative(path) for path in sources.cuts],
        "quantizer": relative(sources.quantizer),
    }
    if sources.folds:
        record["folds"] = [relative(path) for path in sources.folds]
    for name, path in (("noise", sources.noise), ("lm", sources.lm)):
        if path is not None:
            record[name] = relative(path)
    return record


def write_sources(out: Path, sources: Sources) -> None:
    """Write ``sources.json`` into the store ``out``."""
    files.write_json(out / PROVENANCE, sources_record(out, sources))


def read_sources(out: Path) -> Sources | None:
    """Read the sources of a store; None if it records none in this form; AsrkdError if the file is torn."""
    if not (out / PROVENANCE).is_file():
        return None
    record = files.read_json(out / PROVENANCE)
    try:
        fields.SOURCES.check(record)
        line = record["command"]
        return Sources(
            command=None if line is None else f"{line} {command('--out', out)}",
            teacher=_resolve(out, record["teacher"]),
            cuts=tuple(Path(os.path.normpath(out / path)) for path in record["cuts"]),
            quantizer=_resolve(out, record["quantizer"]),
            folds=tuple(Path(os.path.normpath(out / path)) for path in record.get("folds", ())),
            noise=_resolve(out, record.get("noise")),
            lm=_resolve(out, record.get("lm")),
        )
    except ValueError:  # a record of another form, or a path with a NUL in it
        return None


def remake_command(out: Path, kind: str = "...") -> str:
    """Return the command that makes the store ``out``, with dots for arguments that are not recorded."""
    try:
        sources = read_sources(out)
    except AsrkdError:  # torn, which the message is not about
        sources = None
    general = command("asrkd", "distill", kind, "--teacher", "...", "--cuts", "...", "--out", out)
    return sources.command if sources and sources.command else general


def check_sources(out: Path, contract: dict[str, Any]) -> None:
    """Raise AsrkdError if a teacher, quantizer or language model has changed since the store was made."""
    sources = read_sources(out)
    if sources is None:
        return
    for name, path, actual, expected in _identities(sources, contract):
        if actual is not None and expected is not None and actual != expected:
            remedy = make_again(out, remake_command(out, str(contract.get("kind", "..."))), "the store")
            raise AsrkdError(
                f"{out}: stale: its {name} {path} has changed since (sha256 {actual[:12]} now, "
                f"{str(expected)[:12]} then); {remedy} (or keep it: {remove(out / PROVENANCE)})"
            )


def _identities(
    sources: Sources, contract: dict[str, Any]
) -> Iterator[tuple[str, Path | None, str | None, str | None]]:
    """Yield (name, path, hash now, hash in the contract) of each source; None where it is unknown."""
    if sources.folds:
        expected = _get(contract, "teacher", "folds", "weights_sha256") or [None] * len(sources.folds)
        for path, sha256 in zip(sources.folds, expected, strict=False):
            yield "teacher", path, _sha256(path, WEIGHTS), sha256
    else:
        expected = _get(contract, "teacher", "weights_sha256")
        yield "teacher", sources.teacher, _sha256(sources.teacher, WEIGHTS), expected
    quantizer = _sha256(sources.quantizer, QUANTIZER_WEIGHTS)
    yield "quantizer", sources.quantizer, quantizer, _get(contract, "quantizer", "sha256")
    lm = _sha256(sources.lm, WEIGHTS)
    yield "language model", sources.lm, lm, _get(contract, "search", "lm", "sha256")


def _sha256(path: Path | None, name: str) -> str | None:
    """Hash the weights at ``path``, a file or a folder with the file ``name``; None if they are gone."""
    if path is None:
        return None
    try:
        weights = path if path.is_file() else path / name
        return files.sha256(weights) if weights.is_file() else None
    except OSError:  # the name is too long for a path
        return None


def _get(contract: dict[str, Any], *keys: str) -> Any:
    """Return the value under nested ``keys``; None if there is none."""
    value: Any = contract
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _resolve(out: Path, path: str | None) -> Path | None:
    if path is None or is_bundle(path):
        return None if path is None else Path(path)
    return Path(os.path.normpath(out / path))
