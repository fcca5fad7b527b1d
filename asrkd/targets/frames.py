"""Frame targets, and their alignment with the student's frames: rates and delays.

Frame k of a sequence covers the time from k to k + 1 frame shifts. A student
frame has as many whole teacher frames as fit into it, at least one:
neighbors whose common center is nearest to its center, the later ones if two
choices are equally near. So

* a student r times slower stacks the r teacher frames from r*k on into its
  frame k (as icefall does for MVQ, 50 Hz to 25 Hz);
* a student r times faster has each teacher frame r times;
* where neither rate is a multiple of the other, the nearest are used.

The first frames of both are at the same time; a store or teacher whose
first frame is elsewhere is refused (:mod:`asrkd.models.frame_timing`). With a
delay of d a streaming student predicts at its frame t + d the targets of
frame t (MVQ-KD, arXiv:2211.00508, section 3.3).

Notation: N utterances, T student frames, T' teacher frames, W of them in a
student frame, C values of a teacher frame.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asrkd.models.masks import frame_mask


@dataclass(frozen=True)
class FrameTargets:
    """Values at the teacher's frames of a batch of utterances."""

    values: Tensor  # (N, T', C); padding is 0 and never read
    num_frames: Tensor  # (N,)
    frame_shift: float  # seconds between teacher frames

    def real(self) -> Tensor:
        """Return the (frames, C) values of the teacher's frames, utterance by utterance, without padding."""
        return self.values[frame_mask(self.num_frames, self.values.shape[1])]

    def to(self, device: torch.device) -> "FrameTargets":
        """Return a copy on another device."""
        return replace(self, values=self.values.to(device), num_frames=self.num_frames.to(device))


@dataclass(frozen=True)
class AlignedTargets:
    """Targets on the student's frames."""

    values: Tensor  # (N, T, W * C), teacher frames one after another; arbitrary where there is no target
    mask: Tensor  # (N, T), True where there are both a real student frame and a target

    def real(self) -> Tensor:
        """Return the (frames, W * C) values that are targets, utterance by utterance."""
        return self.values[self.mask]


def align(targets: FrameTargets, num_frames: Tensor, frame_shift: float, *, delay: int = 0) -> AlignedTargets:
    """Align teacher frames with the student's.

    Args:
        targets: (N, T', C) values at the teacher's rate.
        num_frames: (N,) student frames; T is their maximum.
        frame_shift: frame shift of the student, in seconds.
        delay: lag of the student, in its frames, at least 0.
    """
    mask = aligned_mask(targets, num_frames, frame_shift, delay=delay)
    if not targets.values.shape[1]:
        width = frames_within(frame_shift, targets.frame_shift) * targets.values.shape[2]
        return AlignedTargets(targets.values.new_zeros(*mask.shape, width), mask)
    first, width = _windows(targets, mask.shape[1], frame_shift, delay)
    rows = first[:, None] + torch.arange(width, device=first.device)  # (T, W)
    inside = rows.clamp(0, targets.values.shape[1] - 1)
    return AlignedTargets(targets.values[:, inside].flatten(2), mask)


def aligned_mask(targets: FrameTargets, num_frames: Tensor, frame_shift: float, *, delay: int = 0) -> Tensor:
    """Return where the student's (N,) frames have a target: (N, T) boolean; arguments as in :func:`align`."""
    max_frames = int(num_frames.max())
    first, width = _windows(targets, max_frames, frame_shift, delay)
    frame = torch.arange(max_frames, device=first.device)
    started = (frame >= delay) & (first >= 0)
    return started & (first + width <= targets.num_frames[:, None]) & frame_mask(num_frames, max_frames)


def frames_within(student_shift: float, target_shift: float) -> int:
    """Return the number of teacher frames in a student frame, at least 1; frame shifts in seconds."""
    return max(1, _exact(student_shift) // _exact(target_shift))


def _windows(targets: FrameTargets, max_frames: int, frame_shift: float, delay: int) -> tuple[Tensor, int]:
    """Return the first teacher frame of each student frame, (T,), maybe out of range; and their number W.

    Times are in whole microseconds, so that the result is the same on every device.
    """
    student, target = _exact(frame_shift), _exact(targets.frame_shift)
    width = frames_within(frame_shift, targets.frame_shift)
    frame = torch.arange(max_frames, device=targets.num_frames.device) - delay
    # The window's center, (first + width / 2) * target, is nearest to (frame + 1 / 2) * student.
    twice = (2 * frame + 1) * student - (width - 1) * target
    return torch.div(twice, 2 * target, rounding_mode="floor"), width


def _exact(seconds: float) -> int:
    return round(seconds * 1e6)
