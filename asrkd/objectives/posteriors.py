"""Base of objectives on token posteriors: the frames of student and teacher, and the events that
both count.

A store of the k likeliest tokens gives k + 1 events a frame, the last one all other tokens
together, so the student's other tokens count as one too; a store of all tokens gives V. Frame k
of both stands for the same instant where their rates are equal; others are refused: the rule of
stacking does not apply, as two posteriors of a blank and a token are not the posterior of a
longer frame. TutorNet has equal rates throughout. With a delay of d a streaming student predicts
at its frame t + d what the teacher has at frame t, as in MVQ-KD.

Temperature: posteriors of a temperature other than 1 are computed from all tokens'
probabilities, so they need a store of all tokens or a live teacher.

Notation: N utterances, T frames, V tokens, k of them stored.
"""

from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from asrkd.core.config import LaterKeys
from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Objective, ObjectiveConfig, head_tap
from asrkd.targets.posteriors import PosteriorTargets
from asrkd.targets.sources.base import PosteriorSource
from asrkd.targets.sources.settings import LiveTargets, named_targets


class PosteriorConfig(LaterKeys, ObjectiveConfig):
    """Settings of every objective on posteriors."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"layer", "delay"})
    targets: LiveTargets | str  # path of a store made by `asrkd distill posterior`, or a live teacher
    layer: int | None = Field(None, ge=1)  # layer of the student for an intermediate head; None: its own head
    delay: int = Field(0, ge=0)  # lag of a streaming student, in its frames


class TemperatureConfig(PosteriorConfig):
    """Settings of objectives that compare whole distributions."""

    later_keys: ClassVar[frozenset[str]] = PosteriorConfig.later_keys | {"temperature"}
    temperature: float = Field(1.0, ge=0.01, le=100)  # divides the logits of both


class Events(NamedTuple):
    """Log-probabilities of student and teacher for the same events of the frames that both have."""

    student: Tensor  # (frames, V) logits, float32
    teacher: Tensor  # (frames, k + 1) log-probabilities in nats, the last of all other tokens together
    tokens: Tensor  # (frames, k) tokens of the first k events, int64


class PosteriorObjective(Objective):
    """Objective on the posteriors of frames; it has no parameters but those of an intermediate head."""

    def __init__(
        self, name: str, settings: PosteriorConfig, source: PosteriorSource, student: Recognizer
    ) -> None:
        """Check rates, temperature and head; AsrkdError, which names the objective, if they do not fit."""
        super().__init__()
        self._head, self._delay = head_tap(name, settings.layer, student), settings.delay
        where = f"objectives, {name}: {named_targets(settings.targets)}"
        if round(student.frame_shift * 1e6) != round(source.frame_shift * 1e6):
            raise AsrkdError(
                f"{where}: a posterior every {source.frame_shift:g} s and a student frame every "
                f"{student.frame_shift:g} s, expected equal rates; give the student the teacher's subsampling"
            )
        temperature = settings.temperature if isinstance(settings, TemperatureConfig) else 1.0
        if temperature != 1 and not source.has_all_tokens:
            raise AsrkdError(
                f"{where}: holds the likeliest tokens alone, and temperature {temperature:g} needs the "
                "probabilities of all; make a store with: asrkd distill posterior --top-k all"
            )

    def heads(self) -> list[Tap]:
        """Return the layer of the intermediate head, if it is one."""
        return [] if self._head is None else [self._head]

    def count(self, targets: PosteriorTargets, num_frames: Tensor) -> float:
        """Count the frames that both the teacher and the student, with ``num_frames`` (N,), have."""
        return float(self.shared(targets, num_frames).sum())

    def shared(self, targets: PosteriorTargets, num_frames: Tensor) -> Tensor:
        """Return how many frames both have, (N,), of the student's (N,) without those before the delay."""
        return torch.minimum(targets.num_frames, (num_frames - self._delay).clamp(min=0))

    def events(self, output: RecognizerOutput, targets: PosteriorTargets) -> Events:
        """Return logits and targets of the frames that both have, utterance by utterance."""
        logits = output.frame_logits(self._head)[:, self._delay :]
        shared = min(logits.shape[1], targets.log_probs.shape[1])
        real = frame_mask(self.shared(targets, output.num_frames), shared)  # (N, T)
        return Events(logits[:, :shared][real].float(), *targets.frames(real))


def at_temperature(events: Events, temperature: float) -> Events:
    """Divide the logits of student and teacher, here log-probabilities of all tokens, by a temperature."""
    if temperature == 1:
        return events
    teacher = (events.teacher / temperature).log_softmax(dim=-1)
    return events._replace(student=events.student / temperature, teacher=teacher)
