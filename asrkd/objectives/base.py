"""The seam between the trainer and what it trains toward.

An objective declares what it taps and which target source it needs, takes
tensors, and gives a *sum* with the *count* it is a sum over. The trainer
divides by counts that are global over accumulated batches, so a loss does
not depend on how utterances were batched.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import RecognizerOutput, Student
from asrkd.models.stepwise import Decoder
from asrkd.objectives.too_short import TooShort
from asrkd.targets.sources.base import TargetSource


def need_ctc(name: str, student: Student) -> None:
    """Raise AsrkdError, which names the objective, unless the student has a CTC head."""
    if not student.has_ctc:
        raise AsrkdError(f"objectives, {name}: the model has no CTC head; give it one with model.ctc: true")


def need_decoder(name: str, student: Student) -> Decoder:
    """The student's decoder; AsrkdError, which names the objective, if it has none."""
    if student.decoder is None:
        raise AsrkdError(
            f"objectives, {name}: the model has no attention decoder; give it one with model.decoder, "
            "or train it toward ctc"
        )
    return student.decoder


class ObjectiveConfig(Section):
    """Settings that every objective has."""

    scale: float = Field(1.0, ge=0)  # factor in the total loss

    @property
    def passes_per_epoch(self) -> int:
        """How often an epoch must go over the cuts for all targets to have been taken."""
        return 1


class Objective(nn.Module):
    """A training loss with the taps it needs and, maybe, parameters used in training only.

    Its parameters are optimized and checkpointed with the student and never exported.
    """

    def taps(self) -> Collection[Tap]:
        """Encoder layers whose values :meth:`forward` reads."""
        return ()

    def dropped(self) -> TooShort | None:
        """A counter of sequences that the loss drops on its own; None for one that drops none."""
        return None

    def count(self, targets: Any, num_frames: Tensor) -> float:
        """What the sum is over (reference tokens, target values), before the forward pass.

        Args:
            targets: what the source gave for the batch.
            num_frames: (N,) int64, encoder frames of the student.
        """
        raise NotImplementedError

    def forward(self, output: RecognizerOutput, targets: Any) -> Tensor:
        """The loss summed over the batch, a scalar () in float32.

        It is in nats where the loss is a cross-entropy; a distance has no unit.

        Args:
            output: of the student, N utterances, with what :meth:`taps` wants.
            targets: what the source gave for the batch.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Kind:
    """An objective as the registry knows it."""

    name: str  # in configs
    config: type[ObjectiveConfig]
    source: Callable[[Any, Tokens], TargetSource]  # from (settings, the student's tokens)
    build: Callable[[Any, TargetSource, Any], Objective]  # from (settings, source, student)
