"""Cut records: identity, duration, transcript, speakers and feature type of a cut, without lhotse's objects.

lhotse's objects take most of the time of a pass over a million cuts, and some
kilobytes each. Records are parsed from the lines of a manifest and take a few
hundred bytes. The schemas of lhotse's manifests are here too; times in them are
in seconds.
"""

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.serialization import deserialize_item
from lhotse.utils import compute_num_samples

from asrkd.core import files
from asrkd.core.errors import AsrkdError, reason
from asrkd.core.schema import (
    Count,
    Duration,
    Finite,
    Name,
    Positive,
    Record,
    Schema,
    Seconds,
    WholeNumber,
    truncated_repr,
)

Channels = Count | list[Count]


class _Source(Record):
    type: str
    channels: list[Count]
    source: str


class _Recording(Record):
    id: Name
    sources: list[_Source]
    sampling_rate: WholeNumber  # Hz
    num_samples: WholeNumber
    duration: Duration
    transforms: list[dict[str, Any]] | None = None


class _Supervision(Record):
    id: Name
    recording_id: str
    start: Finite  # relative to the cut; negative where the cut truncates the supervision
    duration: Duration
    channel: Channels = 0
    text: str | None = None
    custom: dict[str, Any] | None = None


class _SupervisionOfRecording(_Supervision):
    start: Seconds


class _Features(Record):
    type: str
    num_frames: Positive
    num_features: Positive
    frame_shift: Duration
    sampling_rate: WholeNumber
    start: Seconds
    duration: Duration
    storage_type: str
    storage_path: str
    storage_key: str
    recording_id: str | None = None


class _Cut(Record):
    id: Name
    start: Seconds
    duration: Duration
    channel: Count
    supervisions: list[_Supervision] | None = None
    recording: _Recording | None = None
    features: _Features | None = None
    custom: dict[str, Any] | None = None


CUT: Schema[Any] = Schema(_Cut)
FORMS: dict[type, Schema[Any]] = {
    Recording: Schema(_Recording),
    SupervisionSegment: Schema(_SupervisionOfRecording),
}


class FeatureKind(NamedTuple):
    """Feature type of a cut: equal in all cuts that one model reads."""

    type: str  # lhotse's name of the extractor
    num_features: int
    frame_shift: float  # seconds
    sampling_rate: int  # Hz


class CutRecord(NamedTuple):
    """Record of a cut."""

    id: str
    digest: str  # hex, of cut_identity
    recording: str | None  # recording id
    duration: float  # seconds
    sampling_rate: int  # Hz
    texts: tuple[str | None, ...]  # texts of the supervisions
    speakers: tuple[str | None, ...]  # speakers of the supervisions
    features: FeatureKind | None


def parse_record(path: Path, number: int, line: dict[str, Any]) -> CutRecord:
    """Parse the record of the cut in a line of a manifest.

    Args:
        path: the manifest, for messages.
        number: line number, from 1.
        line: JSON of the line.

    Raises:
        AsrkdError: not a cut of one channel, or a field of a wrong type or range: a
            duration that is no positive number, a transcript that is no text.
    """
    kind = line.get("type", "something without a type")
    if kind != "MonoCut":
        name = kind if isinstance(kind, str) else truncated_repr(kind)
        raise AsrkdError(f"{path}:{number}: not a lhotse cut: expected a MonoCut, found {name}")
    is_bare = not line.get("recording") and not line.get("features")
    if is_bare and isinstance(line.get("custom"), dict) and "codebook_indexes" in line["custom"]:
        raise AsrkdError(
            f"{path}:{number}: cut {line.get('id')!r} has neither recording nor features: icefall strips "
            "cuts with codebook indexes; give its training cuts too: asrkd targets import ... --cuts CUTS"
        )
    try:
        CUT.check(line)
        return _record(line, _identity(line))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AsrkdError(f"{path}:{number}: not a lhotse cut: {reason(error)}") from None


def cut_record(cut: MonoCut) -> CutRecord:
    """Make the record of a lhotse cut."""
    return _record(cut.to_dict(), cut_identity(cut))


def records(cuts: Iterable[MonoCut]) -> Sequence[CutRecord]:
    """Return the records of cuts in their order; those of a packed list are not made again."""
    packed: Sequence[CutRecord] | None = getattr(cuts, "records", None)
    return [cut_record(cut) for cut in cuts] if packed is None else packed


def is_transcribed(texts: Sequence[str | None]) -> bool:
    """Return whether the texts of a cut's supervisions make a transcript."""
    return bool(texts) and None not in texts


def transcript(cut: MonoCut) -> str:
    """Return the reference text of a cut: the texts of its supervisions, joined by spaces.

    Raises:
        AsrkdError: the cut has no transcript.
    """
    return _joined(cut.id, [supervision.text for supervision in cut.supervisions])


def reference(record: CutRecord) -> str:
    """Return the reference text of a cut by its record; AsrkdError if it has none."""
    return _joined(record.id, record.texts)


def _joined(cut_id: str, texts: Sequence[str | None]) -> str:
    if not is_transcribed(texts):
        raise AsrkdError(
            f"cut {cut_id}: has no transcript; train on stored targets, leave it out, or give the "
            "objective cuts: transcribed"
        )
    return " ".join(text.strip() for text in texts if text is not None)


def cut_identity(cut: MonoCut) -> dict[str, Any]:
    """Return the identity of a cut's audio: cuts of equal identity have equal samples.

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
    """Return the hex digest of :func:`cut_identity`, which stores hold with every target."""
    return files.sha256_of(cut_identity(cut))


def cuts_digest(cuts: Iterable[MonoCut]) -> str:
    """Return the hex digest of the audio of a list of cuts, in its order."""
    return files.sha256_of([record.digest for record in records(cuts)])


def texts_digest(cuts: Iterable[MonoCut]) -> str:
    """Return the hex digest of the transcripts of a list of cuts, in its order."""
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
    """Return :func:`cut_identity` of the cut in ``line``."""
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
    """Return the perturbations that lhotse applies on loading, as JSON."""
    steps = (recording.transforms or []) if recording is not None else []
    return [step if isinstance(step, dict) else step.to_dict() for step in steps]


def _interned(name: Any) -> str | None:
    """Return one string object for all cuts of a speaker."""
    return None if name is None else sys.intern(str(name))


def _kind(features: dict[str, Any] | None) -> FeatureKind | None:
    """Return one object for all cuts of equal feature type."""
    if features is None:
        return None
    return _shared_kind(*(features[name] for name in FeatureKind._fields))


@lru_cache(maxsize=1000)
def _shared_kind(*values: Any) -> FeatureKind:
    return FeatureKind(*values)
