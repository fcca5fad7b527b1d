"""Base of objectives on frames: a layer of the student, aligned with a teacher's frames.

Notation: N utterances, T student frames, D size of the student's layer, W * C
target values of a student frame (see :mod:`asrkd.targets.frames`).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Objective, ObjectiveConfig
from asrkd.targets.frames import FrameTargets, align, aligned_mask, frames_within
from asrkd.targets.sources.base import HiddenTargets
from asrkd.targets.sources.settings import LiveTargets, named_targets

FACTOR = 20.0  # by which a scale of 1 is near the best for distances; docs/results/scales.md


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
    """Objective with a linear map of a layer of the student to the teacher's, frame by frame.

    Its factor divides the loss by that of a constant, the mean of the teacher's frames, so that the loss is
    FACTOR times the share that the student does not explain, whatever the size and the spread of the
    teacher's values.
    The map begins as that constant plus what its random weights add.
    """

    measures_targets = True
    of_constant: Tensor  # () loss of the constant, a mean over values

    def __init__(self, name: str, settings: FrameConfig, source: HiddenTargets, student: Recognizer) -> None:
        """Build the map from the student's layer to the teacher's."""
        alignment = FrameAlignment(name, settings, student)
        self.num_stacked = frames_within(student.frame_shift, source.frame_shift)
        super().__init__(alignment, source.dim * self.num_stacked)
        self.dim = source.dim * self.num_stacked
        self.project = nn.Linear(alignment.dim, self.dim)
        self.register_buffer("of_constant", torch.ones(()))
        self._where = f"objectives, {name}: {named_targets(settings.targets)}"

    @property
    def factor(self) -> Tensor:
        """FACTOR over the loss of the constant, a scalar ()."""
        return FACTOR / self.of_constant

    @torch.no_grad()
    def measure(self, targets: Sequence[FrameTargets]) -> list[str]:
        """Measure the mean of the teacher's frames and its loss; AsrkdError if they are all the same."""
        teacher = torch.cat([batch.real() for batch in targets]).float()
        frames = self.bounded(teacher)
        if bad := int((~frames.isfinite()).any(dim=1).sum()):
            raise AsrkdError(
                f"{self._where}: NaN or infinite values in {bad} of the {len(frames)} frames of some "
                "training cuts; store them with --dtype float32, or take another layer of the teacher"
            )
        mean = frames.mean(dim=0)
        loss = self.distance(mean.expand_as(frames), frames) / max(frames.numel(), 1)
        if not 0 < float(loss) < float("inf"):
            within, other = ("", "") if frames is teacher else (", within clamp,", " or other bounds")
            raise AsrkdError(
                f"{self._where}: the layer has{within} the same values at all {len(frames)} frames of some "
                f"training cuts; take another layer of the teacher{other}"
            )
        self.of_constant.copy_(loss)
        self.project.bias.copy_(mean.repeat(self.num_stacked))
        return []

    def bounded(self, teacher: Tensor) -> Tensor:
        """Return the values (frames, D) of the teacher that are learned: as they are, if it has no bounds."""
        return teacher

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Sum the distances of mapped frames (frames, D) of the student and the teacher's, a scalar ()."""
        raise NotImplementedError

    def forward(self, output: RecognizerOutput, targets: FrameTargets) -> Tensor:
        """Sum the distances over frames and dimensions, a scalar ()."""
        frames, teacher = self._alignment.frames(output, targets)
        return self.distance(self.project(frames).float(), self.bounded(teacher.float()))
