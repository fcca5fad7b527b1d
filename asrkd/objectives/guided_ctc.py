"""Guided CTC: the student's probabilities of the teacher's spikes.

Source: Kurata and Audhkhasi, "Guiding CTC Posterior Spike Timings for Improved Posterior Fusion
and Knowledge Distillation", arXiv:1904.08311: a mask M is 1 at the teacher's likeliest token of
each frame where that is not blank, and 0 elsewhere; the guided loss -sum(M * P) over the
student's probabilities P is added to CTC. It moves the student's spikes to the teacher's
instants, which is what TutorNet compares itself with.

Departures: a frame of M costs 1 - P in place of -P, so that the loss is in [0, 1] and 0 for a
student that is sure of the teacher's spikes; gradients are the same. The paper sums over
frames; this is divided by the number of spikes (by the trainer).

Notation: N utterances, T frames, V tokens, k of them stored.
"""

from typing import Any

from torch import Tensor

from asrkd.data.tokens import BLANK_ID, Tokens
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.posteriors import PosteriorConfig, PosteriorObjective
from asrkd.targets.posteriors import PosteriorTargets
from asrkd.targets.sources.base import PosteriorSource, TargetSource
from asrkd.targets.sources.dense import posterior_source


class GuidedCtcConfig(PosteriorConfig):
    """Settings of the objective ``guided_ctc``; a store of ``--top-k 1`` is enough."""


class GuidedCtc(PosteriorObjective):
    """What the student lacks to certainty of the teacher's spikes."""

    def __init__(self, settings: GuidedCtcConfig, source: PosteriorSource, student: Recognizer) -> None:
        """Raise AsrkdError unless rates and head fit."""
        super().__init__("guided_ctc", settings, source, student)

    def count(self, targets: PosteriorTargets, num_frames: Tensor) -> float:
        """Count the teacher's spikes among the frames that the student, with ``num_frames`` (N,), has too."""
        real = frame_mask(self.shared(targets, num_frames), targets.tokens.shape[1])
        return float((best_tokens(*targets.frames(real)) != BLANK_ID).sum())

    def forward(self, output: RecognizerOutput, targets: PosteriorTargets) -> Tensor:
        """Sum 1 - P over the teacher's spikes, a scalar ()."""
        events = self.events(output, targets)
        best = best_tokens(events.teacher, events.tokens)
        spikes = best != BLANK_ID
        return spike_loss(events.student[spikes].softmax(dim=-1), best[spikes])


def best_tokens(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """Return the likeliest token of each frame.

    Args:
        log_probs: (..., k + 1) log-probabilities; the last one is that of all other tokens together.
        tokens: (..., k) tokens of the first k.

    Returns:
        Tokens (...), int64.
    """
    best = log_probs[..., :-1].argmax(dim=-1, keepdim=True)
    return tokens.gather(-1, best).squeeze(-1)


def spike_loss(student: Tensor, tokens: Tensor) -> Tensor:
    """Sum 1 - P(token) over frames, a scalar in [0, frames].

    Args:
        student: (frames, V) probabilities.
        tokens: (frames,) the teacher's token of each, int64.
    """
    return (1 - student.gather(-1, tokens[:, None])).sum()


def _source(settings: GuidedCtcConfig, tokens: Tokens) -> TargetSource:
    return posterior_source(settings.targets, tokens)


def _build(settings: GuidedCtcConfig, source: Any, student: Recognizer) -> Objective:
    return GuidedCtc(settings, source, student)


KIND = Kind("guided_ctc", GuidedCtcConfig, _source, _build)
