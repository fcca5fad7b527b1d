"""Kullback-Leibler divergence of the student's token posteriors from the teacher's, frame by
frame.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network",
arXiv:1503.02531, section 2: the cross-entropy with the teacher's probabilities at a
temperature, times its square, so that the size of the gradient does not depend on it. The
divergence is that cross-entropy less the teacher's entropy: the gradient is the same, and a
student equal to its teacher costs nothing. For CTC, whose posteriors are spikes at instants
that differ between networks, it is unbounded; Yoon et al. (arXiv:2008.00671) saw it diverge and
take the squared distance (:mod:`asrkd.objectives.softmax`).

Departures: where a store holds k of the V tokens, all others together count as one event more,
which gives at most the divergence over all tokens. The teacher's probabilities are normalized
again after their rounding to float16. It is summed over frames and divided by their number (by
the trainer).

Notation: N utterances, T frames, V tokens, k of them stored.
"""

from typing import Any

import torch
from torch import Tensor

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.posteriors import PosteriorObjective, TemperatureConfig, at_temperature
from asrkd.targets.posteriors import PosteriorTargets
from asrkd.targets.sources.base import PosteriorSource, TargetSource
from asrkd.targets.sources.dense import posterior_source


class KlConfig(TemperatureConfig):
    """Settings of the objective ``kl``."""


class Kl(PosteriorObjective):
    """Divergence of posteriors, KL(teacher || student)."""

    def __init__(self, settings: KlConfig, source: PosteriorSource, student: Recognizer) -> None:
        """Raise AsrkdError unless rates, temperature and head fit."""
        super().__init__("kl", settings, source, student)
        self._temperature = settings.temperature

    def forward(self, output: RecognizerOutput, targets: PosteriorTargets) -> Tensor:
        """Sum the divergences over frames, a scalar () in nats, times the temperature's square."""
        events = at_temperature(self.events(output, targets), self._temperature)
        divergence = kl_divergence(events.student, events.teacher, events.tokens)
        return divergence * self._temperature**2


def kl_divergence(student: Tensor, teacher: Tensor, tokens: Tensor) -> Tensor:
    """Sum KL(teacher || student) over frames, a scalar in nats, at least 0.

    Args:
        student: (frames, V) logits.
        teacher: (frames, k + 1) log-probabilities; the last one is that of all other tokens together, and
            is not read where k = V.
        tokens: (frames, k) tokens of the teacher's first k log-probabilities, different ones in a frame.
    """
    log_probs = student.log_softmax(dim=-1)
    events = log_probs.gather(-1, tokens)  # (frames, k)
    if tokens.shape[-1] == student.shape[-1]:
        teacher = teacher[:, :-1]
    else:
        rest = log_probs.scatter(-1, tokens, -torch.inf).logsumexp(dim=-1, keepdim=True)
        events = torch.cat([events, rest], dim=-1)
    teacher = teacher.log_softmax(dim=-1)
    terms = teacher.exp() * (teacher - events)
    return terms.masked_fill(teacher == -torch.inf, 0.0).sum()  # 0 log 0 = 0


def _source(settings: KlConfig, tokens: Tokens) -> TargetSource:
    return posterior_source(settings.targets, tokens)


def _build(settings: KlConfig, source: Any, student: Recognizer) -> Objective:
    return Kl(settings, source, student)


KIND = Kind("kl", KlConfig, _source, _build)
