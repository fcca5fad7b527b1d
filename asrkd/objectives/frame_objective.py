"""Where a layer of the student meets a teacher's frames: what every objective on frames has in common.

Letters: N utterances, T student frames, D size of the student's layer, W * C
target values a student frame (see :mod:`asrkd.targets.frames`).
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

    targets: LiveTargets | str  # a store, or a teacher that is asked while the student is trained
    layer: int = Field(ge=1)  # of the student
    tap: Literal["before_norm", "after_norm"] = "after_norm"  # of that layer: its final LayerNorm
    delay: int = Field(0, ge=0)  # student frames by which a streaming student may lag the teacher


class FrameAlignment:
    """A layer of the student, and the frames of a teacher that it is held against."""

    def __init__(self, name: str, settings: FrameConfig, student: Recognizer) -> None:
        """Find the layer; AsrkdError, which names the objective ``name``, if the student has none such."""
        self.tap = Tap(settings.layer, settings.tap)
        self._delay, self._frame_shift = settings.delay, student.frame_shift
        try:
            student.encoder.check_taps([self.tap])
        except ValueError as error:
            raise AsrkdError(f"objectives, {name}: {error}") from None

    def num_frames(self, targets: FrameTargets, num_frames: Tensor) -> float:
        """How many of the student's ``num_frames`` (N,) have a target."""
        mask = aligned_mask(targets, num_frames, self._frame_shift, delay=self._delay)
        return float(mask.sum())

    def frames(self, output: RecognizerOutput, targets: FrameTargets) -> tuple[Tensor, Tensor]:
        """The (frames, D) of the student that have targets, and those, (frames, W * C)."""
        aligned = align(targets, output.num_frames, self._frame_shift, delay=self._delay)
        own = output.tapped[self.tap][:, : aligned.mask.shape[1]]
        return own[aligned.mask], aligned.real()


class FrameObjective(Objective):
    """An objective on the frames at which a layer of the student meets a teacher's."""

    def __init__(self, meeting: FrameAlignment, num_values: int) -> None:
        """``num_values`` are those of a student frame that the loss is a sum over."""
        super().__init__()
        self._meeting, self._num_values = meeting, num_values

    def taps(self) -> list[Tap]:
        """The student's layer."""
        return [self._meeting.tap]

    def count(self, targets: FrameTargets, num_frames: Tensor) -> float:
        """Number of target values that meet one of the student's ``num_frames`` (N,)."""
        return self._meeting.num_frames(targets, num_frames) * self._num_values


class Projection(FrameObjective):
    """An objective that maps a layer of the student to the teacher's, linearly, frame by frame."""

    def __init__(self, meeting: FrameAlignment, source: HiddenTargets, student: Recognizer) -> None:
        """Build the map from the student's layer to the source's."""
        dim = source.dim * frames_within(student.frame_shift, source.frame_shift)
        super().__init__(meeting, dim)
        self.dim = dim
        self.project = nn.Linear(student.dim, self.dim)
