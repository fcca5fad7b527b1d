"""Frame timing: how many target frames a cut has, when they are, and receptive fields of convolutions.

The frames of a cut are counted by the rule of a store's contract. Frame k of teacher and student
stand for one instant where their rates are equal (:mod:`asrkd.targets.frames`), so their first frames
must lie within half a frame of each other, of the faster of the two.

wav2vec 2.0, HuBERT and WavLM begin with a stack of convolutions without padding: a list of
(kernel size, stride), both in steps of the input of that convolution; the input of the first are samples."""

import math
from collections.abc import Sequence
from typing import Any

from lhotse.utils import compute_num_frames, compute_num_samples

from asrkd.data.cuts.records import FeatureKind
from asrkd.models.front_end import SUBSAMPLING


def hop(stack: Sequence[Sequence[int]]) -> int:
    """Samples between the beginnings of successive frames."""
    return math.prod(stride for _, stride in stack)


def span(stack: Sequence[Sequence[int]]) -> int:
    """Samples that one frame sees; fewer give no frame."""
    seen, step = 1, 1
    for kernel, stride in stack:
        seen += (kernel - 1) * step
        step *= stride
    return seen


def num_frames(stack: Sequence[Sequence[int]], num_samples: int) -> int:
    """Frames of so many samples, 0 if they are too few for one."""
    for kernel, stride in stack:
        num_samples = max(0, (num_samples - kernel) // stride + 1)
    return num_samples


AUDIO = "start of the audio"  # what an offset is from that is not from the first feature frame's center


def first_frame(contract: dict[str, Any]) -> float | None:
    """Seconds from the start of the audio to the first target's center; None if the contract does not say."""
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
        features: that the student reads; its first frame is centered on the first of them.
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


# asrkd's own front end: T feature frames give ceil(T / 4) encoder frames.
CONFORMER_RULE = {"of": "feature frames", "divisor": SUBSAMPLING, "round": "up"}


def convolution_rule(stack: Sequence[Sequence[int]], sampling_rate: int) -> dict[str, Any]:
    """As many frames as convolutions without padding give.

    Args:
        stack: (kernel size, stride) of each convolution.
        sampling_rate: of the samples that the first one reads, in Hz.
    """
    return {"of": "samples", "sampling_rate": sampling_rate, "convolutions": [list(pair) for pair in stack]}


def center_rule(hop: int, sampling_rate: int) -> dict[str, Any]:
    """Frames centered on the samples 0, ``hop``, 2 ``hop`` ... at ``sampling_rate`` Hz."""
    return {"of": "samples", "sampling_rate": sampling_rate, "divisor": hop, "round": "up"}


def expected_frames(contract: dict[str, Any], duration: float, sampling_rate: int) -> int | None:
    """Target frames of a cut; None if the contract's rule is not one that is known here.

    Args:
        contract: of the store.
        duration: of the cut, in seconds.
        sampling_rate: of the cut, in Hz.
    """
    rule = contract.get("length_rule")
    if not isinstance(rule, dict):
        return None
    if rule.get("of") == "samples" and "sampling_rate" in rule:
        return frames_of_samples(rule, compute_num_samples(duration, rule["sampling_rate"]))
    if rule.get("of") != "feature frames" or rule.get("round") != "up":
        return None
    frames: int = compute_num_frames(duration, contract["features"]["frame_shift"], sampling_rate)
    return -(-frames // int(rule["divisor"]))


def frames_of_samples(rule: dict[str, Any], num_samples: int) -> int | None:
    """Frames of so many samples at the rule's own rate; None if the rule is not known here."""
    if "convolutions" in rule:
        return num_frames(rule["convolutions"], num_samples)
    if rule.get("round") == "up" and "divisor" in rule:
        return -(-num_samples // int(rule["divisor"]))
    return None
