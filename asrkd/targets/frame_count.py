"""How many target frames a cut has, by its contract's rule."""

from typing import Any

from lhotse.utils import compute_num_frames

from asrkd.models.front_end import SUBSAMPLING

# asrkd's own front end: T feature frames give ceil(T / 4) encoder frames.
CONFORMER_RULE = {"of": "feature frames", "divisor": SUBSAMPLING, "round": "up"}


def expected_frames(contract: dict[str, Any], duration: float, sampling_rate: int) -> int | None:
    """Target frames of a cut; None if the contract's rule is not one that is known here.

    Args:
        contract: of the store.
        duration: of the cut, in seconds.
        sampling_rate: of the cut, in Hz.
    """
    rule = contract.get("length_rule")
    if not isinstance(rule, dict) or rule.get("of") != "feature frames" or rule.get("round") != "up":
        return None
    frames: int = compute_num_frames(duration, contract["features"]["frame_shift"], sampling_rate)
    return -(-frames // int(rule["divisor"]))
