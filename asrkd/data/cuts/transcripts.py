"""Transcripts of cuts: the texts of their supervisions."""

from collections.abc import Sequence

from lhotse import MonoCut

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import CutRecord


def is_transcribed(texts: Sequence[str | None]) -> bool:
    """Whether supervisions with these texts make a transcript."""
    return bool(texts) and None not in texts


def transcript(cut: MonoCut) -> str:
    """The reference text of a cut, its supervisions joined by spaces.

    Raises:
        AsrkdError: it has none.
    """
    return _joined(cut.id, [supervision.text for supervision in cut.supervisions])


def reference(record: CutRecord) -> str:
    """As :func:`transcript`, of a cut's record; AsrkdError if it has none."""
    return _joined(record.id, record.texts)


def _joined(cut_id: str, texts: Sequence[str | None]) -> str:
    if not is_transcribed(texts):
        raise AsrkdError(
            f"cut {cut_id}: has no transcript; train on stored targets, leave it out, or give the "
            "objective cuts: transcribed"
        )
    return " ".join(text.strip() for text in texts if text is not None)
