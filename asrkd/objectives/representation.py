"""Squared distance between a layer of the student, projected, and a teacher's hidden states.

Source: Yoon et al., "TutorNet: Towards Flexible Knowledge Distillation for
End-to-End Speech Recognition", arXiv:2008.00671, representation-level
distillation: || M * (teacher - c(student)) ||^2, where c is a convolution of
kernel size 1, a linear map of each frame, and M, the frame weighting, is the
sigmoid of the mean of the teacher's frame over its dimensions. M stands
inside the norm, so a frame weighs M squared.

Departure: the paper sums over frames and dimensions; this is divided by
their number (by the trainer), so that a scale means the same at any width.

Letters: N utterances, T student frames, D size of the teacher's layer (times
the teacher's frames in a student frame).
"""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from asrkd.errors import AsrkdError
from asrkd.models.conformer import Tap
from asrkd.models.recogniser import Recogniser, RecogniserOutput
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig, TargetSource
from asrkd.targets.alignment import align, ratio
from asrkd.targets.dense import HiddenSource
from asrkd.targets.frames import FrameTargets
from asrkd.tokens import Tokens


class RepresentationConfig(ObjectiveConfig):
    """Settings of the objective ``representation``."""

    targets: str  # a store made by `asrkd distill hidden`
    layer: int = Field(ge=1)  # of the student, its output after the norm
    frame_weighting: bool = True
    delay: int = Field(0, ge=0)  # student frames by which a streaming student may lag the teacher


class Representation(Objective):
    """A linear map from a layer of the student to the teacher's, and the distance between the two."""

    def __init__(self, settings: RepresentationConfig, source: HiddenSource, student: Recogniser) -> None:
        """Build the map from the student's layer to the store's."""
        super().__init__()
        self._tap = Tap(settings.layer)
        self._settings, self._frame_shift = settings, student.frame_shift
        try:
            student.encoder.check_taps([self._tap])
            stacking = ratio(student.frame_shift, source.frame_shift)[0]
        except ValueError as error:
            raise AsrkdError(f"objectives, representation: {error}") from None
        self.project = nn.Linear(student.dim, source.dim * stacking)

    def taps(self) -> list[Tap]:
        """The student's layer."""
        return [self._tap]

    def count(self, targets: FrameTargets, num_frames: Tensor) -> float:
        """Number of values that have one of the student's ``num_frames`` (N,)."""
        aligned = align(targets, num_frames, self._frame_shift, delay=self._settings.delay)
        return float(aligned.mask.sum()) * aligned.values.shape[2]

    def forward(self, output: RecogniserOutput, targets: FrameTargets) -> Tensor:
        """Sum over frames and dimensions of the weighted squared differences, a scalar ()."""
        aligned = align(targets, output.num_frames, self._frame_shift, delay=self._settings.delay)
        real = output.tapped[self._tap][:, : aligned.mask.shape[1]][aligned.mask]  # (frames, D student)
        projected = self.project(real).float()
        return weighted_distance(
            projected, aligned.values[aligned.mask], frame_weighting=self._settings.frame_weighting
        )


def weighted_distance(student: Tensor, teacher: Tensor, *, frame_weighting: bool) -> Tensor:
    """|| M * (teacher - student) ||^2, a scalar.

    Args:
        student: (frames, D), projected.
        teacher: (frames, D), without gradient.
        frame_weighting: M is the sigmoid of the teacher's mean over D; without it, 1.
    """
    difference = teacher - student
    if frame_weighting:
        difference = difference * teacher.mean(dim=-1, keepdim=True).sigmoid()
    return difference.square().sum()


def _source(settings: RepresentationConfig, tokens: Tokens) -> TargetSource:
    return HiddenSource(settings.targets)


def _build(settings: RepresentationConfig, source: Any, student: Recogniser) -> Objective:
    return Representation(settings, source, student)


KIND = Kind("representation", RepresentationConfig, _source, _build)
