"""References of cuts: the transcripts of a manifest, and the times of their words, as those of a score."""

import json
from typing import Any

from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Finite, Schema
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import reference
from asrkd.scoring.score_corpus import ReferenceUtterance
from asrkd.scoring.word_times import Times

WORDS = "word"  # key of the words among the alignments of a supervision
_DECIMALS = 6  # of seconds
_ITEMS: Schema[list[list[Any]]] = Schema(list[list[Any]])
_SPAN: Schema[tuple[float, float]] = Schema(tuple[Finite, Finite])


def reference_utterances(cuts: PackedCuts) -> list[ReferenceUtterance]:
    """Return the reference, recording, speaker, duration and word times of each cut.

    Raises:
        AsrkdError: a cut has no text, or word times that are no times.
    """
    return [
        ReferenceUtterance(
            cut.id,
            text := reference(cut),
            str(cut.recording),
            cut.speakers[0],
            round(cut.duration, 6),
            _word_times(line, cut.id, text),
        )
        for cut, line in zip(cuts.records, cuts.lines(), strict=True)
    ]


def _word_times(line: str, cut_id: str, text: str) -> Times | None:
    """Return start and end of each word, in seconds into the cut, by its supervisions' alignments of words.

    lhotse's alignments count from the start of the recording; items without a symbol are silence.

    Args:
        line: the cut, as in its manifest.
        cut_id: its id.
        text: its transcript.

    Returns:
        The times; None if there are none, or of other words than those of the transcript.
    """
    if '"alignment"' not in line:
        return None
    fields = json.loads(line)
    try:
        items = [item for each in fields["supervisions"] for item in _items(each) if str(item[0]).strip()]
        spans = [_SPAN.check((item[1], item[2])) for item in items]
    except (ValueError, IndexError, AttributeError) as error:
        raise AsrkdError(
            f"cut {cut_id}: its alignment of words: {error}; expected [word, start, duration] of each word; "
            "prepare the cuts again: asrkd prepare"
        ) from None
    if [str(item[0]).casefold() for item in items] != text.casefold().split():
        return None
    starts = [round(start - fields["start"], _DECIMALS) for start, _ in spans]
    return tuple(
        (start, round(start + duration, _DECIMALS))
        for start, (_, duration) in zip(starts, spans, strict=True)
    )


def _items(supervision: dict[str, Any]) -> list[list[Any]]:
    alignment = supervision.get("alignment") or {}
    return _ITEMS.check(alignment.get(WORDS, []))
