"""References of cuts: the transcripts of a manifest as the reference utterances of a score."""

from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import reference
from asrkd.scoring.score_corpus import ReferenceUtterance


def reference_utterances(cuts: PackedCuts) -> list[ReferenceUtterance]:
    """Return the reference, recording, speaker and duration of each cut; AsrkdError if one has no text."""
    return [
        ReferenceUtterance(
            cut.id, reference(cut), str(cut.recording), cut.speakers[0], round(cut.duration, 6)
        )
        for cut in cuts.records
    ]
