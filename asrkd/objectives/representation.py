"""Squared distance between a projected layer of the student and a teacher's hidden states (TutorNet).

Source: Yoon et al., "TutorNet: Toward Flexible Knowledge Distillation for
End-to-End Speech Recognition", arXiv:2008.00671, representation-level
distillation: || M * (teacher - c(student)) ||^2, where c is a convolution of
kernel size 1, a linear map of each frame, and M, the frame weighting, is the
sigmoid of the mean of the teacher's frame over its dimensions. M is inside
the norm, so the weight of a frame is M squared. Where a student frame has
several of the teacher's, each of them has its own weight.

Departure: the paper sums over frames and dimensions; this is divided by
their number (by the trainer), and in the total loss by that of a constant
(:class:`asrkd.objectives.frame_objective.Projection`), so that a scale means
the same for any teacher.

Notation: D size of the teacher's layer, W frames of the teacher in a student
frame.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.frame_objective import FrameConfig, Projection
from asrkd.targets.frame_weights import WeightSpread, frame_weights
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
        super().__init__("representation", settings, source, student)
        self._settings, self._teacher_dim = settings, source.dim

    def measure(self, targets: Sequence[FrameTargets]) -> list[str]:
        """Measure the teacher's frames and the spread of their weights; AsrkdError if these are all alike."""
        lines = super().measure(targets)
        if not self._settings.frame_weighting:
            return lines
        spread = WeightSpread.of(torch.cat([frame_weights(batch.real().float()) for batch in targets]))
        if spread.is_degenerate:
            raise AsrkdError(
                f"{self._where}: frame weights are nearly all alike ({spread.text()}), as after a LayerNorm; "
                "take the layer before its norm (asrkd distill hidden --tap before_norm) or another layer of "
                "the teacher, or set frame_weighting: false"
            )
        return [*lines, f"{self._where}: frame weights {spread.text()}"]

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Sum the weighted squared differences of (frames, W * D) over frames and dimensions, a scalar ()."""
        mapped, hidden = (values.reshape(-1, self._teacher_dim) for values in (student, teacher))
        return weighted_distance(mapped, hidden, frame_weighting=self._settings.frame_weighting)


def weighted_distance(student: Tensor, teacher: Tensor, *, frame_weighting: bool) -> Tensor:
    """Compute || M * (teacher - student) ||^2, a scalar.

    Args:
        student: (frames, D) projected values of the student.
        teacher: (frames, D) hidden states of the teacher, without gradient.
        frame_weighting: whether M is the sigmoid of the teacher's mean over D, or 1.
    """
    difference = teacher - student
    if frame_weighting:
        difference = difference * frame_weights(teacher)[:, None]
    return difference.square().sum()


def _source(settings: RepresentationConfig, tokens: Tokens) -> TargetSource:
    return hidden_source(settings.targets)


def _build(settings: RepresentationConfig, source: Any, student: Recognizer) -> Objective:
    return Representation(settings, source, student)


KIND = Kind("representation", RepresentationConfig, _source, _build)
