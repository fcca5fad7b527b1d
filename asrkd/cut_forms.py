"""Forms of lhotse's manifests as asrkd reads them: cuts, recordings, supervisions; times are in seconds."""

from typing import Any

from lhotse import Recording, SupervisionSegment
from typing_extensions import NotRequired, TypedDict

from asrkd.schema import STRICT, Count, Duration, Finite, Name, Positive, Schema, Seconds, WholeNumber

Channels = int | list[int]


class _Source(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: str
    channels: list[Count]
    source: str


class _Recording(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    id: Name
    sources: list[_Source]
    sampling_rate: WholeNumber  # Hz
    num_samples: WholeNumber
    duration: Duration
    transforms: NotRequired[list[dict[str, Any]] | None]


class _Supervision(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    id: Name
    recording_id: str
    start: Finite  # before the cut's, where that was cut off
    duration: Duration
    channel: NotRequired[Channels]
    text: NotRequired[str | None]
    custom: NotRequired[dict[str, Any] | None]


class _SupervisionOfRecording(_Supervision):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    start: Seconds  # type: ignore[misc]


class _Features(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: str
    num_frames: Positive
    num_features: Positive
    frame_shift: Duration
    sampling_rate: WholeNumber
    start: Seconds
    duration: Duration
    storage_type: str
    storage_path: str
    storage_key: str | bytes
    recording_id: NotRequired[str | None]


class _Cut(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    id: Name
    start: Seconds
    duration: Duration
    channel: Count
    supervisions: NotRequired[list[_Supervision] | None]
    recording: NotRequired[_Recording | None]
    features: NotRequired[_Features | None]
    custom: NotRequired[dict[str, Any] | None]


CUT: Schema[Any] = Schema(_Cut)
FORMS: dict[type, Schema[Any]] = {
    Recording: Schema(_Recording),
    SupervisionSegment: Schema(_SupervisionOfRecording),
}
