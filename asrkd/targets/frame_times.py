"""When target frames are: the instant on which the first one is centred, held against the student's.

Frame k of teacher and student are taken for one instant where their rates
are equal (:mod:`asrkd.targets.alignment`), so their first frames must lie
within half a frame of each other, of the faster of the two.
"""

from typing import Any

from asrkd.cut_records import FeatureKind
from asrkd.models.front_end import SUBSAMPLING

AUDIO = "start of the audio"  # what an offset is from that is not from the first feature frame's centre


def first_frame(contract: dict[str, Any]) -> float | None:
    """Seconds from the start of the audio to the first target's centre; None if the contract does not say."""
    offset, features = contract.get("first_frame_offset"), contract.get("features")
    if not isinstance(offset, (int, float)):
        return None
    if contract.get("offset_from") == AUDIO:
        return float(offset)
    return float(offset) + features["frame_shift"] / 2 if isinstance(features, dict) else None


def offset_problem(contract: dict[str, Any], features: FeatureKind) -> str | None:
    """Why frames of a store do not meet those of a student, as the end of a sentence; None if they do.

    Args:
        contract: of the store.
        features: that the student reads; its first frame is centred on the first of them.
    """
    theirs, shift = first_frame(contract), contract.get("frame_shift")
    if theirs is None or not isinstance(shift, (int, float)):
        return None
    ours, limit = features.frame_shift / 2, min(shift, features.frame_shift * SUBSAMPLING) / 2
    if abs(theirs - ours) <= limit + 1e-9:
        return None
    return (
        f"begin {1000 * theirs:g} ms into the audio and the student's frames {1000 * ours:g} ms: "
        f"more than half a frame ({1000 * limit:g} ms) apart"
    )
