"""Frame timing: the number of target frames of a cut, their times, and receptive fields of convolutions.

A contract's length rule counts the frames of a cut. Frame k of teacher and
student represent the same instant where their rates are equal
(:mod:`asrkd.targets.frames`), so their first frames must lie within half a
frame of each other, half of the shorter one.

wav2vec 2.0, HuBERT and WavLM begin with a stack of convolutions without
padding, given as a list of (kernel size, stride), both in steps of that
convolution's input; the input of the first is samples.
"""

import math
from collections.abc import Sequence
from typing import Any

from lhotse.utils import compute_num_frames, compute_num_samples

from asrkd.data.cuts.records import FeatureKind


def hop(stack: Sequence[Sequence[int]]) -> int:
    """Return the samples between the starts of successive frames."""
    return math.prod(stride for _, stride in stack)


def span(stack: Sequence[Sequence[int]]) -> int:
    """Return the receptive field of a frame in samples; shorter audio gives no frame."""
    field, step = 1, 1
    for kernel, stride in stack:
        field += (kernel - 1) * step
        step *= stride
    return field


def num_frames(stack: Sequence[Sequence[int]], num_samples: int) -> int:
    """Return the number of frames of ``num_samples`` samples, 0 if they are too few for one."""
    for kernel, stride in stack:
        num_samples = max(0, (num_samples - kernel) // stride + 1)
    return num_samples


AUDIO = "start of the audio"  # origin of an offset, if not the center of the first feature frame


def first_frame(contract: dict[str, Any]) -> float | None:
    """Return seconds from the start of the audio to the first target's center; None if unknown."""
    offset, features = contract.get("first_frame_offset"), contract.get("features")
    if not isinstance(offset, (int, float)):
        return None
    if contract.get("offset_from") == AUDIO:
        return float(offset)
    return float(offset) + features["frame_shift"] / 2 if isinstance(features, dict) else None


def offset_problem(
    contract: dict[str, Any], features: FeatureKind, student_shift: float | None = None
) -> str | None:
    """Describe why a store's frames do not align with a student's, as the end of a sentence; None if they do.

    Args:
        contract: contract of the store.
        features: features of the student; its first frame is centered on the first of them.
        student_shift: seconds between the student's frames; None if no student is known, which is then taken
            to be as fast as the store at most.
    """
    store_start, shift = first_frame(contract), contract.get("frame_shift")
    if store_start is None or not isinstance(shift, (int, float)):
        return None
    student_start, limit = features.frame_shift / 2, min(shift, student_shift or shift) / 2
    if abs(store_start - student_start) <= limit + 1e-9:
        return None
    return (
        f"begin {1000 * store_start:g} ms into the audio and the student's frames "
        f"{1000 * student_start:g} ms: "
        f"more than half a frame ({1000 * limit:g} ms) apart"
    )


def front_end_rule(subsampling: int) -> dict[str, Any]:
    """Return the length rule of asrkd's encoders: T feature frames give ceil(T / S) encoder frames."""
    return {"of": "feature frames", "divisor": subsampling, "round": "up"}


def convolution_rule(stack: Sequence[Sequence[int]], sampling_rate: int) -> dict[str, Any]:
    """Return the length rule of convolutions without padding.

    Args:
        stack: (kernel size, stride) of each convolution.
        sampling_rate: sampling rate of the first one's input, in Hz.
    """
    return {"of": "samples", "sampling_rate": sampling_rate, "convolutions": [list(pair) for pair in stack]}


def center_rule(hop: int, sampling_rate: int) -> dict[str, Any]:
    """Return the length rule of frames centered on samples 0, ``hop``, 2 ``hop`` ..., rate in Hz."""
    return {"of": "samples", "sampling_rate": sampling_rate, "divisor": hop, "round": "up"}


def expected_frames(contract: dict[str, Any], duration: float, sampling_rate: int) -> int | None:
    """Return the number of target frames of a cut; None if the contract's length rule is unknown.

    Args:
        contract: contract of the store.
        duration: duration of the cut, in seconds.
        sampling_rate: sampling rate of the cut, in Hz.
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
    """Return the frames of ``num_samples`` samples at the rule's rate; None if the rule is unknown."""
    if "convolutions" in rule:
        return num_frames(rule["convolutions"], num_samples)
    if rule.get("round") == "up" and "divisor" in rule:
        return -(-num_samples // int(rule["divisor"]))
    return None
