"""Where a store's teachers, models and cuts were, so that it can be told whether they changed since.

``sources.json`` lies beside the contract and decides nothing: paths relative
to the store, and the command that makes it but for its ``--out``, so that
equal stores side by side have equal bytes in this file too. A store that was
moved away from its sources is as good as before.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import PROVENANCE, QUANTIZER_WEIGHTS, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_anew, remove
from asrkd.targets.store import fields
from asrkd.teachers.torchaudio_bundles import is_bundle


@dataclass(frozen=True)
class Sources:
    """What a store was made from, as paths."""

    command: str | None  # as it was typed, in the working directory of then, without --out; None: not by one
    teacher: Path | None  # or the name of a bundle of torchaudio; None: imported
    cuts: tuple[Path, ...]
    quantizer: Path | None = None
    folds: tuple[Path, ...] = ()  # teachers by the fold that each did not see; ``teacher`` is the first
    noise: Path | None = None  # noise cuts that the teacher heard beside the cuts
    lm: Path | None = None  # language model of the search; None also in stores of before it was kept


def write_sources(out: Path, sources: Sources) -> None:
    """Write ``sources.json`` into the store ``out``."""

    def relative(path: Path | None) -> str | None:
        return None if path is None else str(path) if is_bundle(path) else os.path.relpath(path, out)

    record = {
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
    files.write_json(out / PROVENANCE, record)


def read_sources(out: Path) -> Sources | None:
    """The sources of a store; None if it does not say, or in another form; AsrkdError if they are torn."""
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
    except ValueError:  # of another form, or a path with a NUL in it
        return None


def remake_command(out: Path, kind: str = "...") -> str:
    """The command that makes the store ``out``: of its kind, with dots where it does not say more."""
    try:
        sources = read_sources(out)
    except AsrkdError:  # torn, which is not what the message is about
        sources = None
    general = command("asrkd", "distill", kind, "--teacher", "...", "--cuts", "...", "--out", out)
    return sources.command if sources and sources.command else general


def check_sources(out: Path, contract: dict[str, Any]) -> None:
    """Raise AsrkdError if a teacher, quantizer or language model of a store is there and another by now."""
    sources = read_sources(out)
    if sources is None:
        return
    for name, place, found, expected in _identities(sources, contract):
        if found is not None and expected is not None and found != expected:
            remedy = make_anew(out, remake_command(out, str(contract.get("kind", "..."))), "the store")
            raise AsrkdError(
                f"{out}: stale: its {name} {place} was made anew since (sha256 {found[:12]} now, "
                f"{str(expected)[:12]} then); {remedy} (or keep it: {remove(out / PROVENANCE)})"
            )


def _identities(
    sources: Sources, contract: dict[str, Any]
) -> Iterator[tuple[str, Path | None, str | None, str | None]]:
    """(name, place, hash now, hash in the contract) of what a store was made by; None where there is none."""
    if sources.folds:
        expected = _get(contract, "teacher", "folds", "weights_sha256") or [None] * len(sources.folds)
        for place, sha256 in zip(sources.folds, expected, strict=False):
            yield "teacher", place, _sha256(place, WEIGHTS), sha256
    else:
        expected = _get(contract, "teacher", "weights_sha256")
        yield "teacher", sources.teacher, _sha256(sources.teacher, WEIGHTS), expected
    quantizer = _sha256(sources.quantizer, QUANTIZER_WEIGHTS)
    yield "quantizer", sources.quantizer, quantizer, _get(contract, "quantizer", "sha256")
    lm = _sha256(sources.lm, WEIGHTS)
    yield "language model", sources.lm, lm, _get(contract, "search", "lm", "sha256")


def _sha256(place: Path | None, name: str) -> str | None:
    """Of the weights at ``place``, a file or a folder that has them under ``name``; None if they are gone."""
    if place is None:
        return None
    try:
        path = place if place.is_file() else place / name
        return files.sha256(path) if path.is_file() else None
    except OSError:  # a name that is too long to be one
        return None


def _get(contract: dict[str, Any], *keys: str) -> Any:
    found: Any = contract
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _resolve(out: Path, path: str | None) -> Path | None:
    if path is None or is_bundle(path):
        return None if path is None else Path(path)
    return Path(os.path.normpath(out / path))
