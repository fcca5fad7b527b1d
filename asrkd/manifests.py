"""Cut manifests: lhotse's, with paths that travel and lines that say where they are wrong.

Paths inside a manifest are relative to its folder, so ``data/`` can be moved;
absolute ones stay. lhotse itself takes them relative to the working
directory, so read with :func:`read_cuts` rather than with ``CutSet.from_file``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from lhotse import MonoCut, Recording
from lhotse.serialization import deserialize_item

from asrkd import files
from asrkd.errors import AsrkdError

Item = TypeVar("Item")


def read_cuts(path: Path) -> list[MonoCut]:
    """All cuts of a manifest, with the paths in them resolved.

    Raises:
        AsrkdError: no such file, a torn line (its number is given), something
            that is not a cut of one channel, or an id that comes twice.
    """
    cuts: list[MonoCut] = []
    seen: set[str] = set()
    for number, cut in read_items(path, MonoCut, "cut"):
        if cut.id in seen:
            raise AsrkdError(f"{path}:{number}: cut {cut.id!r} comes twice")
        seen.add(cut.id)
        cuts.append(resolve(cut, path.parent))
    if not cuts:
        raise AsrkdError(f"{path}: holds no cuts")
    return cuts


def read_items(path: Path, kind: type[Item], name: str) -> Iterator[tuple[int, Item]]:
    """(line number, item) of a lhotse manifest of one ``kind``, called ``name`` in errors.

    Raises:
        AsrkdError: no such file, or a line that is torn or something else.
    """
    for number, record in files.read_jsonl(path):
        try:
            item = deserialize_item(record)
        except Exception as error:  # lhotse raises whatever the missing field causes
            raise AsrkdError(f"{path}:{number}: not a lhotse {name}: {error!r}") from None
        if not isinstance(item, kind):
            raise AsrkdError(f"{path}:{number}: expected a {kind.__name__}, found {type(item).__name__}")
        yield number, item


def write_cuts(path: Path, cuts: Iterable[MonoCut]) -> int:
    """Write a manifest; return how many cuts there were. Paths are written as they are."""
    return files.write_jsonl(path, (cut.to_dict() for cut in cuts))


def resolve(cut: MonoCut, folder: Path) -> MonoCut:
    """The same cut, its relative paths taken from ``folder``."""
    changes: dict[str, Any] = {}
    if cut.features is not None:
        changes["features"] = cut.features.with_path_prefix(folder)
    if cut.recording is not None:
        changes["recording"] = _resolve_recording(cut.recording, folder)
    return replace(cut, **changes)


def _resolve_recording(recording: Recording, folder: Path) -> Recording:
    return recording.with_path_prefix(folder)


def cut_identity(cut: MonoCut) -> dict[str, Any]:
    """What makes a cut's audio itself: two cuts of equal identity sound the same.

    The audio hash is the one that ``asrkd prepare`` took of the decoded
    samples; start and duration are in seconds.
    """
    recording = cut.recording
    return {
        "id": cut.id,
        "recording": cut.recording_id if recording is not None else None,
        "sampling_rate": cut.sampling_rate,
        "num_samples": cut.num_samples if recording is not None else None,
        "channel": cut.channel,
        "start": round(cut.start, 6),
        "duration": round(cut.duration, 6),
        "transforms": _transforms(recording),
        "audio_sha256": (cut.custom or {}).get("audio_sha256"),
    }


def cut_digest(cut: MonoCut) -> str:
    """Hex digest of :func:`cut_identity`, kept with every stored target."""
    return files.sha256_of(cut_identity(cut))


def cuts_digest(cuts: Iterable[MonoCut]) -> str:
    """Hex digest of the audio of a list of cuts, in its order."""
    return files.sha256_of([cut_digest(cut) for cut in cuts])


def texts_digest(cuts: Iterable[MonoCut]) -> str:
    """Hex digest of the transcripts of a list of cuts, in its order."""
    return files.sha256_of([[supervision.text for supervision in cut.supervisions] for cut in cuts])


def _transforms(recording: Recording | None) -> list[Any]:
    """The perturbations that lhotse applies on loading, as JSON."""
    steps = (recording.transforms or []) if recording is not None else []
    return [step if isinstance(step, dict) else step.to_dict() for step in steps]
