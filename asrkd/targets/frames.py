"""Values at each frame as targets, and their alignment with the student's frames: rates and delays.

Frame k of a sequence stands for the time from k to k + 1 frame shifts. A
student frame takes as many whole teacher frames as fit into it, at least one:
those neighbors whose middle is nearest to its own, the later ones if two
choices are as near. So

* a student r times slower stacks the r teacher frames from r*k on into its
  frame k (as icefall does for MVQ, 50 Hz to 25 Hz);
* a student r times faster gets each teacher frame r times;
* where neither rate is a multiple of the other, the nearest are taken.

The first frames of both are taken for one instant; a store or teacher whose
first frame lies elsewhere is refused (:mod:`asrkd.models.frame_timing`). A
delay of d lets a streaming student predict at its frame t + d what meets
frame t (MVQ-KD, arXiv:2211.00508, section 3.3).

Letters: N utterances, T student frames, T' teacher frames, W of them in a
student frame, C values a teacher frame."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asrkd.models.masks import frame_mask


@dataclass(frozen=True)
class FrameTargets:
    """Values at the teacher's frames of a batch of utterances."""

    values: Tensor  # (N, T, C); padding is 0 and never read
    num_frames: Tensor  # (N,)
    frame_shift: float  # seconds between teacher frames

    def to(self, device: torch.device) -> "FrameTargets":
        """The same on another device."""
        return replace(self, values=self.values.to(device), num_frames=self.num_frames.to(device))


@dataclass(frozen=True)
class AlignedTargets:
    """Targets on the student's frames."""

    values: Tensor  # (N, T, W * C), teacher frames one after another; anything where there is no target
    mask: Tensor  # (N, T), True where there are both a real student frame and a target

    def real(self) -> Tensor:
        """The (frames, W * C) values that are targets, utterance by utterance."""
        return self.values[self.mask]


def align(targets: FrameTargets, num_frames: Tensor, frame_shift: float, *, delay: int = 0) -> AlignedTargets:
    """Bring teacher frames to the student's rate.

    Args:
        targets: (N, T', C) values at the teacher's rate.
        num_frames: (N,) student frames; T is the most of them.
        frame_shift: of the student, in seconds.
        delay: student frames by which the student lags, at least 0.
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
    """Where one of the student's (N,) frames has a target: (N, T) boolean; args as of :func:`align`."""
    max_frames = int(num_frames.max())
    first, width = _windows(targets, max_frames, frame_shift, delay)
    frame = torch.arange(max_frames, device=first.device)
    begun = (frame >= delay) & (first >= 0)
    return begun & (first + width <= targets.num_frames[:, None]) & frame_mask(num_frames, max_frames)


def frames_within(student_shift: float, target_shift: float) -> int:
    """How many teacher frames a student frame meets, at least 1; frame shifts in seconds."""
    return max(1, _exact(student_shift) // _exact(target_shift))


def _windows(targets: FrameTargets, max_frames: int, frame_shift: float, delay: int) -> tuple[Tensor, int]:
    """(T,) the first teacher frame that each student frame meets, which may not be there; and how many.

    In whole microseconds, so that every device and every frame has the same answer.
    """
    student, target = _exact(frame_shift), _exact(targets.frame_shift)
    width = frames_within(frame_shift, targets.frame_shift)
    frame = torch.arange(max_frames, device=targets.num_frames.device) - delay
    # The window's middle, (first + width / 2) * target, is to be nearest to (frame + 1 / 2) * student.
    twice = (2 * frame + 1) * student - (width - 1) * target
    return torch.div(twice, 2 * target, rounding_mode="floor"), width


def _exact(seconds: float) -> int:
    return round(seconds * 1e6)
