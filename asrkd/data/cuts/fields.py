"""Forms of lhotse's manifests as asrkd reads them: cuts, recordings, supervisions; times are in seconds."""

from typing import Any

from lhotse import Recording, SupervisionSegment

from asrkd.core.schema import Count, Duration, Finite, Name, Positive, Record, Schema, Seconds, WholeNumber

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
    start: Finite  # before the cut's, where that was cut off
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
