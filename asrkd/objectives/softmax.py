"""Squared distance between the token posteriors of student and teacher, frame by frame (TutorNet).

Source: Yoon et al., "TutorNet", arXiv:2008.00671, softmax-level distillation:
|| softmax(teacher) - softmax(student) ||^2 over all tokens, with blank. The
paper states no value of the temperature; it is 1 here.

Departure: where a store holds k of the V tokens, all others together count as
one more; with k = V it is the paper's quantity. It is summed over frames and
divided by their number (by the trainer).

Notation: N utterances, T frames, V tokens, k of them stored.
"""

from typing import Any

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig, need_ctc
from asrkd.targets.posteriors import PosteriorTargets
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.dense import LivePosteriorSource, PosteriorSource, posterior_source
from asrkd.targets.sources.settings import LiveTargets


class SoftmaxConfig(ObjectiveConfig):
    """Settings of the objective ``softmax``."""

    targets: LiveTargets | str  # path of a store made by `asrkd distill posterior`, or a live teacher


class Softmax(Objective):
    """Distance of posteriors at equal frame rates; it has no parameters."""

    def __init__(self, source: PosteriorSource | LivePosteriorSource, student: Recognizer) -> None:
        """Raise AsrkdError unless the frame rates of teacher and student are equal."""
        super().__init__()
        if round(student.frame_shift * 1e6) != round(source.frame_shift * 1e6):
            raise AsrkdError(
                f"objectives, softmax: a student frame every {student.frame_shift:g} s and a posterior every "
                f"{source.frame_shift:g} s, expected equal rates; use a teacher or student of the same rate"
            )

    def count(self, targets: PosteriorTargets, num_frames: Tensor) -> float:
        """Count the frames that both the teacher and the student, with ``num_frames`` (N,), have."""
        return float(torch.minimum(targets.num_frames, num_frames).sum())

    def forward(self, output: RecognizerOutput, targets: PosteriorTargets) -> Tensor:
        """Sum the squared distances over frames, a scalar ()."""
        logits = output.frame_logits()
        shared = min(logits.shape[1], targets.log_probs.shape[1])
        real = frame_mask(torch.minimum(targets.num_frames, output.num_frames), shared)  # (N, T)
        student = logits[:, :shared][real].float().softmax(dim=-1)  # (frames, V)
        log_probs, tokens = targets.frames(real)
        return posterior_distance(student, log_probs.exp(), tokens)


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
    need_ctc("softmax", student)
    return Softmax(source, student)


KIND = Kind("softmax", SoftmaxConfig, _source, _build)
