"""Squared distance between the token posteriors of student and teacher, frame by frame (TutorNet).

Source: Yoon et al., "TutorNet", arXiv:2008.00671, softmax-level distillation:
|| softmax(teacher / tau) - softmax(student / tau) ||^2 over all tokens, with blank. The paper
states no value of the temperature tau; it is 1 here by default.

Departures: where a store holds k of the V tokens, all others together count as one more; with
all tokens it is the paper's quantity. It is summed over frames and divided by their number (by
the trainer): see docs/methods/tutornet.md for the factor to the paper's sums.

Notation: N utterances, T frames, V tokens, k of them stored.
"""

from typing import Any

from torch import Tensor

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.posteriors import PosteriorObjective, TemperatureConfig, at_temperature
from asrkd.targets.posteriors import PosteriorTargets
from asrkd.targets.sources.base import PosteriorSource, TargetSource
from asrkd.targets.sources.dense import posterior_source


class SoftmaxConfig(TemperatureConfig):
    """Settings of the objective ``softmax``."""


class Softmax(PosteriorObjective):
    """Squared distance of posteriors."""

    def __init__(self, settings: SoftmaxConfig, source: PosteriorSource, student: Recognizer) -> None:
        """Raise AsrkdError unless rates, temperature and head fit."""
        super().__init__("softmax", settings, source, student)
        self._temperature = settings.temperature

    def forward(self, output: RecognizerOutput, targets: PosteriorTargets) -> Tensor:
        """Sum the squared distances over frames, a scalar ()."""
        events = at_temperature(self.events(output, targets), self._temperature)
        return posterior_distance(events.student.softmax(dim=-1), events.teacher.exp(), events.tokens)


def posterior_distance(student: Tensor, teacher: Tensor, tokens: Tensor) -> Tensor:
    """Sum squared differences of probabilities, a scalar in [0, 2 frames].

    Args:
        student: (frames, V) probabilities.
        teacher: (frames, k + 1) probabilities; the last one is that of all other tokens together.
        tokens: (frames, k) tokens of the teacher's first k probabilities.
    """
    stored = student.gather(-1, tokens)  # (frames, k)
    rest = 1 - stored.sum(dim=-1)
    return (stored - teacher[:, :-1]).square().sum() + (rest - teacher[:, -1]).square().sum()


def _source(settings: SoftmaxConfig, tokens: Tokens) -> TargetSource:
    return posterior_source(settings.targets, tokens)


def _build(settings: SoftmaxConfig, source: Any, student: Recognizer) -> Objective:
    return Softmax(settings, source, student)


KIND = Kind("softmax", SoftmaxConfig, _source, _build)
