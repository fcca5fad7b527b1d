"""Objective interface: training losses, as the trainer uses them.

An objective declares the encoder layers that it taps and its target source,
and computes a *sum* and the *count* of its terms. The trainer divides by
counts over all accumulated batches, so a loss does not depend on the
division of utterances into batches.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import Recognizer, RecognizerOutput, Student
from asrkd.models.stepwise import Decoder
from asrkd.objectives.too_short import TooShort
from asrkd.targets.sources.base import TargetSource


def head_tap(name: str, layer: int | None, student: Student) -> Tap | None:
    """Return the tap of the intermediate head on ``layer``, at its output; None for the student's own head.

    Raises:
        AsrkdError: the student has no such layer, or no CTC head of its own; the objective is named.
    """
    if layer is None:
        if not student.has_ctc:
            raise AsrkdError(
                f"objectives, {name}: the model has no CTC head; give it one with model.ctc: true"
            )
        return None
    if not isinstance(student, Recognizer):
        raise AsrkdError(f"objectives, {name}: layer {layer}: a language model has no encoder layers")
    if layer > len(student.encoder.layers):
        raise AsrkdError(
            f"objectives, {name}: layer {layer}: the encoder has layers 1 to {len(student.encoder.layers)}"
        )
    return Tap(layer, student.encoder.places(layer)[0])


def need_decoder(name: str, student: Student) -> Decoder:
    """Return the student's decoder; AsrkdError, which names the objective, if it has none."""
    if student.decoder is None:
        raise AsrkdError(
            f"objectives, {name}: the model has no attention decoder; give it one with model.decoder, "
            "or train it toward ctc"
        )
    return student.decoder


class ObjectiveConfig(Section):
    """Settings of every objective."""

    scale: float = Field(1.0, ge=0)  # factor in the total loss

    @property
    def passes_per_epoch(self) -> int:
        """Passes over the cuts in an epoch, so that all targets are used."""
        return 1


class Objective(nn.Module):
    """Training loss, with the layers that it taps and maybe parameters of its own.

    Its parameters are optimized and checkpointed with the student, and never exported.
    """

    measures_targets = False  # whether :meth:`measure` has an effect

    @property
    def factor(self) -> Tensor | float:
        """Factor in the total loss beside the scale, by which a scale means the same whatever the targets."""
        return 1.0

    def measure(self, targets: Sequence[Any]) -> list[str]:
        """Set the values that follow from the targets of some training cuts, before the first step.

        Args:
            targets: targets of batches of cuts, from the source.

        Returns:
            Human-readable lines for the log.

        Raises:
            AsrkdError: there is nothing to learn from the targets.
        """
        return []

    def begin_update(self) -> None:
        """Note that an update of the weights begins, in which this objective has a part."""

    def taps(self) -> Collection[Tap]:
        """Return the encoder layers whose values :meth:`forward` reads."""
        return ()

    def heads(self) -> Collection[Tap]:
        """Return the encoder layers whose intermediate CTC heads :meth:`forward` reads."""
        return ()

    def dropped(self) -> TooShort | None:
        """Return a counter of sequences that the loss drops; None if it drops none."""
        return None

    def count(self, targets: Any, num_frames: Tensor) -> float:
        """Count the terms of the sum (reference tokens, target values), before the forward pass.

        Args:
            targets: the batch's targets, from the source.
            num_frames: (N,) encoder frames of the student, int64.
        """
        raise NotImplementedError

    def forward(self, output: RecognizerOutput, targets: Any) -> Tensor:
        """Sum the loss over the batch, a scalar () in float32.

        A cross-entropy is in nats; a distance has no unit.

        Args:
            output: the student's outputs for N utterances, with the layers of :meth:`taps`.
            targets: the batch's targets, from the source.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Kind:
    """Registry entry of an objective."""

    name: str  # name in configs
    config: type[ObjectiveConfig]
    source: Callable[[Any, Tokens], TargetSource]  # function of (settings, the student's tokens)
    build: Callable[[Any, TargetSource, Any], Objective]  # function of (settings, source, student)
