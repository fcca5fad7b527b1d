"""Base of objectives on frames: a layer of the student, aligned with a teacher's frames.

Notation: N utterances, T student frames, D size of the student's layer, W * C
target values of a student frame (see :mod:`asrkd.targets.frames`).
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Objective, ObjectiveConfig
from asrkd.targets.frames import FrameTargets, align, aligned_mask, frames_within
from asrkd.targets.sources.base import HiddenTargets
from asrkd.targets.sources.settings import LiveTargets


class FrameConfig(ObjectiveConfig):
    """Settings of every objective on frames."""

    targets: LiveTargets | str  # path of a store, or a live teacher
    layer: int = Field(ge=1)  # layer of the student
    tap: Literal["before_norm", "after_norm"] = "after_norm"  # place relative to that layer's final LayerNorm
    delay: int = Field(0, ge=0)  # lag of a streaming student, in its frames


class FrameAlignment:
    """Alignment of a layer of the student with the frames of a teacher."""

    def __init__(self, name: str, settings: FrameConfig, student: Recognizer) -> None:
        """Check the layer; AsrkdError, which names the objective ``name``, if the student lacks it."""
        self.tap = Tap(settings.layer, settings.tap)
        self._delay, self._frame_shift = settings.delay, student.frame_shift
        try:
            student.encoder.check_taps([self.tap])
        except ValueError as error:
            raise AsrkdError(f"objectives, {name}: {error}") from None
        self.dim = student.encoder.layer_dim(self.tap)  # D

    def num_frames(self, targets: FrameTargets, num_frames: Tensor) -> float:
        """Count the student's frames that have a target; ``num_frames`` is (N,)."""
        mask = aligned_mask(targets, num_frames, self._frame_shift, delay=self._delay)
        return float(mask.sum())

    def frames(self, output: RecognizerOutput, targets: FrameTargets) -> tuple[Tensor, Tensor]:
        """Return the student's frames (frames, D) that have targets, and their targets (frames, W * C)."""
        aligned = align(targets, output.num_frames, self._frame_shift, delay=self._delay)
        student = output.tapped[self.tap][:, : aligned.mask.shape[1]]
        return student[aligned.mask], aligned.real()


class FrameObjective(Objective):
    """Objective on the frames of the student's layer that have targets."""

    def __init__(self, alignment: FrameAlignment, num_values: int) -> None:
        """Keep the alignment; the loss of a student frame is a sum over ``num_values`` values."""
        super().__init__()
        self._alignment, self._num_values = alignment, num_values

    def taps(self) -> list[Tap]:
        """Return the student's layer."""
        return [self._alignment.tap]

    def count(self, targets: FrameTargets, num_frames: Tensor) -> float:
        """Count the target values of the student's ``num_frames`` (N,)."""
        return self._alignment.num_frames(targets, num_frames) * self._num_values


class Projection(FrameObjective):
    """Objective with a linear map of a layer of the student to the teacher's, frame by frame."""

    def __init__(self, alignment: FrameAlignment, source: HiddenTargets, student: Recognizer) -> None:
        """Build the map from the student's layer to the teacher's."""
        dim = source.dim * frames_within(student.frame_shift, source.frame_shift)
        super().__init__(alignment, dim)
        self.dim = dim
        self.project = nn.Linear(alignment.dim, self.dim)
