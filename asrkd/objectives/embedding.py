"""Regression of a teacher's embeddings: distance to a projected layer of the student.

Source: Guo et al., arXiv:2211.00508, section 4.4 and table 4, which compares
MVQ-KD with two losses on the embeddings themselves: the paper's l1 is the
``absolute`` distance, the sum of |teacher - student| over dimensions, its l2
(printed with a square) the ``squared`` one, the sum of (teacher - student)^2.
The paper had to clamp the teacher's values for both.

Departure: the paper sums over frames and dimensions; this is divided by
their number (by the trainer), and in the total loss by that of a constant
(:class:`asrkd.objectives.frame_objective.Projection`), so that a scale means
the same for any teacher.

Notation: D dimensions of the teacher's embedding (times the teacher's frames
in a student frame).
"""

from typing import Any, Literal

from pydantic import model_validator
from torch import Tensor

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.frame_objective import FrameConfig, Projection
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
        super().__init__("embedding", settings, source, student)
        self._settings = settings

    def bounded(self, teacher: Tensor) -> Tensor:
        """Clamp the teacher's values (frames, D), if there are bounds."""
        return teacher if self._settings.clamp is None else teacher.clamp(*self._settings.clamp)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Sum the distances of (frames, D) over frames and dimensions, a scalar ()."""
        return embedding_distance(student, teacher, self._settings.distance)


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
