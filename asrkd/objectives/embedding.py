"""Regression of a teacher's embeddings: distance to a projected layer of the student.

Source: Guo et al., arXiv:2211.00508, section 4.4 and table 4, which compares
MVQ-KD with two losses on the embeddings themselves: the paper's l1 is the
``absolute`` distance, the sum of |teacher - student| over dimensions, its l2
(printed with a square) the ``squared`` one, the sum of (teacher - student)^2.
The paper had to clamp the teacher's values for both.

Departure: the paper sums over frames and dimensions; this is divided by
their number (by the trainer), so that a scale means the same at any width.

Notation: D dimensions of the teacher's embedding (times the teacher's frames
in a student frame).
"""

from typing import Any, Literal

from pydantic import model_validator
from torch import Tensor

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.frame_objective import FrameAlignment, FrameConfig, Projection
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.base import HiddenTargets, TargetSource
from asrkd.targets.sources.dense import hidden_source

Distance = Literal["absolute", "squared"]


class EmbeddingConfig(FrameConfig):
    """Settings of the objective ``embedding``; targets are from ``asrkd distill hidden``, or live."""

    distance: Distance = "squared"
    clamp: tuple[float, float] | None = None  # bounds of the teacher's values

    @model_validator(mode="after")
    def _in_order(self) -> "EmbeddingConfig":
        if self.clamp is not None and self.clamp[0] >= self.clamp[1]:
            raise ValueError(f"clamp {list(self.clamp)}: expected the lowest first")
        return self


class Embedding(Projection):
    """Distance between a linear map of a layer of the student and the teacher's embeddings."""

    def __init__(self, settings: EmbeddingConfig, source: HiddenTargets, student: Recognizer) -> None:
        """Build the map from the student's layer to the teacher's."""
        super().__init__(FrameAlignment("embedding", settings, student), source, student)
        self._settings = settings

    def forward(self, output: RecognizerOutput, targets: FrameTargets) -> Tensor:
        """Sum the distances over frames and dimensions, a scalar ()."""
        frames, teacher = self._alignment.frames(output, targets)
        if self._settings.clamp is not None:
            teacher = teacher.clamp(*self._settings.clamp)
        return embedding_distance(self.project(frames).float(), teacher.float(), self._settings.distance)


def embedding_distance(student: Tensor, teacher: Tensor, distance: Distance) -> Tensor:
    """Sum absolute or squared differences, a scalar.

    Args:
        student: (frames, D) projected values of the student.
        teacher: (frames, D) embeddings of the teacher, without gradient.
        distance: distance of two values, ``absolute`` or ``squared``.
    """
    difference = teacher - student
    return difference.abs().sum() if distance == "absolute" else difference.square().sum()


def _source(settings: EmbeddingConfig, tokens: Tokens) -> TargetSource:
    return hidden_source(settings.targets)


def _build(settings: EmbeddingConfig, source: Any, student: Recognizer) -> Objective:
    return Embedding(settings, source, student)


KIND = Kind("embedding", EmbeddingConfig, _source, _build)
