"""Values at each frame as targets.

Letters: N utterances, T teacher frames after padding, C values a frame.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrameTargets:
    """Values at the teacher's frames of a batch of utterances."""

    values: Tensor  # (N, T, C); padding is 0 and never read
    num_frames: Tensor  # (N,)
    frame_shift: float  # seconds between teacher frames

    def to(self, device: torch.device) -> "FrameTargets":
        """The same on another device."""
        return replace(self, values=self.values.to(device), num_frames=self.num_frames.to(device))
