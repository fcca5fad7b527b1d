"""Teacher frames meet student frames: the one place where rates and delays are dealt with.

Frame k of a sequence lies k frame shifts after its first frame, in teacher
and student alike (asrkd's front end centres encoder frame k on feature frame
4k). With r the ratio of the frame shifts:

* student r times slower: the r teacher frames from r*k on are stacked into
  student frame k (as icefall does for MVQ, 50 Hz to 25 Hz);
* student r times faster: each teacher frame is repeated r times;
* a delay of d lets a streaming student predict teacher frame t at its frame
  t + d (MVQ-KD, arXiv:2211.00508, section 3.3).

Letters: N utterances, T student frames, C values a frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.targets.frames import FrameTargets


@dataclass(frozen=True)
class AlignedTargets:
    """Targets on the student's frames."""

    values: Tensor  # (N, T, C)
    mask: Tensor  # (N, T), True where there are both a real student frame and a target


def align(targets: FrameTargets, num_frames: Tensor, frame_shift: float, *, delay: int = 0) -> AlignedTargets:
    """Bring stored frames to the student's rate.

    Args:
        targets: (N, T', C) values at the teacher's rate.
        num_frames: (N,) student frames.
        frame_shift: of the student, in seconds.
        delay: student frames by which the student lags, at least 0.

    Raises:
        ValueError: the frame shifts are not whole multiples of one another.
    """
    values, counts = _to_rate(targets, frame_shift)
    counts = torch.minimum(counts + delay, num_frames)  # student frames that have a target, from the start
    max_frames = int(num_frames.max())
    shifted = torch.nn.functional.pad(values, (0, 0, delay, 0))[:, :max_frames]
    shifted = torch.nn.functional.pad(shifted, (0, 0, 0, max_frames - shifted.shape[1]))
    frame = torch.arange(max_frames, device=values.device)
    return AlignedTargets(shifted, (frame >= delay) & (frame < counts[:, None]))


def ratio(student_shift: float, target_shift: float) -> tuple[int, int]:
    """(teacher frames stacked into a student frame, student frames given one teacher frame).

    One of them is 1.

    Raises:
        ValueError: neither shift is a whole multiple of the other.
    """
    slower, faster = student_shift / target_shift, target_shift / student_shift
    for value, pair in ((slower, (round(slower), 1)), (faster, (1, round(faster)))):
        if value >= 0.999 and abs(value - round(value)) < 1e-3:
            return pair
    raise ValueError(
        f"a student frame every {student_shift * 1000:g} ms and a target every {target_shift * 1000:g} ms "
        "do not meet: one must be a whole multiple of the other"
    )


def _to_rate(targets: FrameTargets, frame_shift: float) -> tuple[Tensor, Tensor]:
    """(N, T, C) values and (N,) counts at the student's rate."""
    stacked, repeated = ratio(frame_shift, targets.frame_shift)
    values, counts = targets.values, targets.num_frames
    if stacked > 1:
        whole = values.shape[1] // stacked
        values = values[:, : whole * stacked].reshape(len(values), whole, stacked * values.shape[2])
        counts = torch.div(counts, stacked, rounding_mode="floor")
    return values.repeat_interleave(repeated, dim=1), counts * repeated
