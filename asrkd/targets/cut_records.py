"""Cuts as the lines of a manifest have them: their identity, without making lhotse's objects.

Making the objects takes most of the time that a pass over a million cuts
takes, and identities need few of their fields.
"""

from pathlib import Path
from typing import Any, NamedTuple

from lhotse import MonoCut
from lhotse.serialization import deserialize_item
from lhotse.utils import compute_num_samples

from asrkd import files
from asrkd.errors import AsrkdError
from asrkd.manifests import cut_identity


class CutRecord(NamedTuple):
    """What identifies a cut and its length."""

    id: str
    digest: str  # as asrkd.manifests.cut_digest of the cut
    duration: float  # seconds
    sampling_rate: int  # Hz
    texts: list[str | None]  # of its supervisions


def parse_record(path: Path, number: int, record: dict[str, Any]) -> CutRecord:
    """The identity of the cut in a line of a manifest.

    Args:
        path: of the manifest, for the error.
        number: of the line, from 1.
        record: its JSON.

    Raises:
        AsrkdError: it is not a cut of one channel.
    """
    try:
        if record.get("type") != "MonoCut":
            raise ValueError(f"expected a MonoCut, found {record.get('type')}")
        identity = _identity(record)
        texts = [supervision.get("text") for supervision in record.get("supervisions") or ()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AsrkdError(f"{path}:{number}: not a lhotse cut: {error!r}") from None
    digest = files.sha256_of(identity)
    return CutRecord(record["id"], digest, record["duration"], identity["sampling_rate"], texts)


def _identity(record: dict[str, Any]) -> dict[str, Any]:
    """What :func:`asrkd.manifests.cut_identity` gives of the cut."""
    recording, features = record.get("recording"), record.get("features")
    if recording is None:
        cut = deserialize_item(dict(record))
        if not isinstance(cut, MonoCut):
            raise TypeError(type(cut).__name__)
        return cut_identity(cut)
    rate = (features or recording)["sampling_rate"]
    return {
        "id": record["id"],
        "recording": recording["id"],
        "sampling_rate": rate,
        "num_samples": compute_num_samples(record["duration"], rate),
        "channel": record["channel"],
        "start": round(record["start"], 6),
        "duration": round(record["duration"], 6),
        "transforms": recording.get("transforms") or [],
        "audio_sha256": (record.get("custom") or {}).get("audio_sha256"),
    }
