"""How many target frames a cut has, by its contract's rule."""

from collections.abc import Sequence
from typing import Any

from lhotse.utils import compute_num_frames, compute_num_samples

from asrkd.models.front_end import SUBSAMPLING
from asrkd.targets.receptive_field import num_frames

# asrkd's own front end: T feature frames give ceil(T / 4) encoder frames.
CONFORMER_RULE = {"of": "feature frames", "divisor": SUBSAMPLING, "round": "up"}


def convolution_rule(stack: Sequence[Sequence[int]], sampling_rate: int) -> dict[str, Any]:
    """As many frames as convolutions without padding give.

    Args:
        stack: (kernel size, stride) of each convolution.
        sampling_rate: of the samples that the first one reads, in Hz.
    """
    return {"of": "samples", "sampling_rate": sampling_rate, "convolutions": [list(pair) for pair in stack]}


def centre_rule(hop: int, sampling_rate: int) -> dict[str, Any]:
    """The frames that are centred on a sample: 0, ``hop``, 2 ``hop`` ... of those at ``sampling_rate`` Hz."""
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
