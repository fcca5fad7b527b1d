"""What a pass over many cuts needs of each: identity, length, transcript, kind of features.

Making lhotse's objects takes most of the time that a pass over a million cuts
takes, and they are kilobytes each; records are made from the lines of a
manifest and are a few hundred bytes.
"""

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lhotse import MonoCut, Recording
from lhotse.serialization import deserialize_item
from lhotse.utils import compute_num_samples

from asrkd.core import files
from asrkd.core.errors import AsrkdError, reason
from asrkd.core.schema import shown
from asrkd.data.cuts.fields import CUT


class FeatureKind(NamedTuple):
    """What the features of cuts that go together have in common."""

    type: str  # of lhotse's extractor
    num_features: int
    frame_shift: float  # seconds
    sampling_rate: int  # Hz


class CutRecord(NamedTuple):
    """What identifies a cut, and what decides whether it fits."""

    id: str
    digest: str  # hex, of cut_identity
    recording: str | None  # its id
    duration: float  # seconds
    sampling_rate: int  # Hz
    texts: tuple[str | None, ...]  # of its supervisions
    speakers: tuple[str | None, ...]  # likewise
    features: FeatureKind | None


def parse_record(path: Path, number: int, line: dict[str, Any]) -> CutRecord:
    """The record of the cut in a line of a manifest.

    Args:
        path: of the manifest, for the error.
        number: of the line, from 1.
        line: its JSON.

    Raises:
        AsrkdError: it is not a cut of one channel, or a field is of a wrong type or range: a
            duration that is no positive number, a transcript that is no text.
    """
    kind = line.get("type", "something without a type")
    if kind != "MonoCut":
        found = kind if isinstance(kind, str) else shown(kind)
        raise AsrkdError(f"{path}:{number}: not a lhotse cut: expected a MonoCut, found {found}")
    bare = not line.get("recording") and not line.get("features")
    if bare and isinstance(line.get("custom"), dict) and "codebook_indexes" in line["custom"]:
        raise AsrkdError(
            f"{path}:{number}: cut {line.get('id')!r} has neither recording nor features: icefall strips "
            "cuts with codebook indexes; give those it trains on, too: asrkd targets import ... --cuts CUTS"
        )
    try:
        CUT.check(line)
        return _record(line, _identity(line))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AsrkdError(f"{path}:{number}: not a lhotse cut: {reason(error)}") from None


def cut_record(cut: MonoCut) -> CutRecord:
    """The record of a cut that is at hand."""
    return _record(cut.to_dict(), cut_identity(cut))


def records(cuts: Iterable[MonoCut]) -> Sequence[CutRecord]:
    """The records of cuts in their order: those that a packed list has, or new ones."""
    kept: Sequence[CutRecord] | None = getattr(cuts, "records", None)
    return [cut_record(cut) for cut in cuts] if kept is None else kept


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
    return files.sha256_of([record.digest for record in records(cuts)])


def texts_digest(cuts: Iterable[MonoCut]) -> str:
    """Hex digest of the transcripts of a list of cuts, in its order."""
    return files.sha256_of([list(record.texts) for record in records(cuts)])


def _record(line: dict[str, Any], identity: dict[str, Any]) -> CutRecord:
    supervisions = line.get("supervisions") or ()
    texts = tuple(supervision.get("text") for supervision in supervisions)
    return CutRecord(
        id=line["id"],
        digest=files.sha256_of(identity),
        recording=identity["recording"] or (line.get("features") or {}).get("recording_id"),
        duration=line["duration"],
        sampling_rate=identity["sampling_rate"],
        texts=texts,
        speakers=tuple(_interned(supervision.get("speaker")) for supervision in supervisions),
        features=_kind(line.get("features")),
    )


def _identity(line: dict[str, Any]) -> dict[str, Any]:
    """What :func:`cut_identity` gives of the cut in ``line``."""
    recording, features = line.get("recording"), line.get("features")
    if recording is None:
        cut = deserialize_item(dict(line))
        if not isinstance(cut, MonoCut):
            raise TypeError(type(cut).__name__)
        return cut_identity(cut)
    rate = (features or recording)["sampling_rate"]
    return {
        "id": line["id"],
        "recording": recording["id"],
        "sampling_rate": rate,
        "num_samples": compute_num_samples(line["duration"], rate),
        "channel": line["channel"],
        "start": round(line["start"], 6),
        "duration": round(line["duration"], 6),
        "transforms": recording.get("transforms") or [],
        "audio_sha256": (line.get("custom") or {}).get("audio_sha256"),
    }


def _transforms(recording: Recording | None) -> list[Any]:
    """The perturbations that lhotse applies on loading, as JSON."""
    steps = (recording.transforms or []) if recording is not None else []
    return [step if isinstance(step, dict) else step.to_dict() for step in steps]


def _interned(name: Any) -> str | None:
    """One string for all cuts of a speaker."""
    return None if name is None else sys.intern(str(name))


def _kind(features: dict[str, Any] | None) -> FeatureKind | None:
    """One object for all cuts that are alike."""
    if features is None:
        return None
    return _alike(*(features[name] for name in FeatureKind._fields))


@lru_cache(maxsize=1000)
def _alike(*values: Any) -> FeatureKind:
    return FeatureKind(*values)
