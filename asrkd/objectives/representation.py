"""Squared distance between a projected layer of the student and a teacher's hidden states (TutorNet).

Source: Yoon et al., "TutorNet: Toward Flexible Knowledge Distillation for
End-to-End Speech Recognition", arXiv:2008.00671, representation-level
distillation: || M * (teacher - c(student)) ||^2, where c is a convolution of
kernel size 1, a linear map of each frame, and M, the frame weighting, is the
sigmoid of the mean of the teacher's frame over its dimensions. M is inside
the norm, so the weight of a frame is M squared.

Departure: the paper sums over frames and dimensions; this is divided by
their number (by the trainer), so that a scale means the same at any width.

Notation: N utterances, D size of the teacher's layer (times the teacher's
frames in a student frame).
"""

from typing import Any

from torch import Tensor

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.frame_objective import FrameAlignment, FrameConfig, Projection
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.base import HiddenTargets, TargetSource
from asrkd.targets.sources.dense import hidden_source


class RepresentationConfig(FrameConfig):
    """Settings of the objective ``representation``; targets are from ``asrkd distill hidden``, or live."""

    frame_weighting: bool = True


class Representation(Projection):
    """Weighted distance between a linear map of a layer of the student and the teacher's layer."""

    def __init__(self, settings: RepresentationConfig, source: HiddenTargets, student: Recognizer) -> None:
        """Build the map from the student's layer to the teacher's."""
        super().__init__(FrameAlignment("representation", settings, student), source, student)
        self._settings = settings

    def forward(self, output: RecognizerOutput, targets: FrameTargets) -> Tensor:
        """Sum the weighted squared differences over frames and dimensions, a scalar ()."""
        frames, teacher = self._alignment.frames(output, targets)
        weighted = self._settings.frame_weighting
        return weighted_distance(self.project(frames).float(), teacher.float(), frame_weighting=weighted)


def weighted_distance(student: Tensor, teacher: Tensor, *, frame_weighting: bool) -> Tensor:
    """Compute || M * (teacher - student) ||^2, a scalar.

    Args:
        student: (frames, D) projected values of the student.
        teacher: (frames, D) hidden states of the teacher, without gradient.
        frame_weighting: whether M is the sigmoid of the teacher's mean over D, or 1.
    """
    difference = teacher - student
    if frame_weighting:
        difference = difference * teacher.mean(dim=-1, keepdim=True).sigmoid()
    return difference.square().sum()


def _source(settings: RepresentationConfig, tokens: Tokens) -> TargetSource:
    return hidden_source(settings.targets)


def _build(settings: RepresentationConfig, source: Any, student: Recognizer) -> Objective:
    return Representation(settings, source, student)


KIND = Kind("representation", RepresentationConfig, _source, _build)
