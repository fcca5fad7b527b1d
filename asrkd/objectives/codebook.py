"""Cross-entropy of a teacher's codebook indexes, predicted from a layer of the student.

Source: Guo et al., "Predicting Multi-Codebook Vector Quantization Indexes
for Knowledge Distillation" (MVQ-KD), arXiv:2211.00508, section 3: one linear
layer and a softmax per codebook, independent of one another. With ``head:
joint`` a codebook's scores also depend on the true indexes of the codebooks
before it, as in JointCodebookLoss of the package ``multi_quantization``, whose
authors find no difference and recommend the independent one.

Departure: the paper sums over frames and codebooks; this is divided by the
number of indexes (by the trainer): at chance it is ln 256 = 5.55 nats. In the
total loss it counts FACTOR * sqrt(C) times, that is, FACTOR times the sum over
codebooks, divided by sqrt(C): gradients of different codebooks point in unrelated
directions, so that their sum grows with sqrt(C) alone, and a scale means the
same for one codebook and for 16.

Notation: C indexes of a student frame, K entries of a codebook, D size of the
student's layer, H hidden values of the joint head.
"""

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.frame_objective import FrameAlignment, FrameConfig, FrameObjective
from asrkd.objectives.linear_cross_entropy import linear_cross_entropy
from asrkd.targets.frames import FrameTargets, frames_within
from asrkd.targets.sources.base import CodebookTargets, TargetSource
from asrkd.targets.sources.codebook import codebook_source

FACTOR = 2.0  # by which a scale of 1 is near the best for 1 to 16 codebooks; docs/results/scales.md


class CodebookConfig(FrameConfig):
    """Settings of the objective ``codebook``; targets are from ``asrkd distill codebook``, or live."""

    head: Literal["independent", "joint"] = "independent"
    hidden_dim: int = Field(512, ge=1)  # H, of the joint head


class Codebook(FrameObjective):
    """Cross-entropy of classifiers, one for each codebook, on a layer of the student."""

    def __init__(self, settings: CodebookConfig, source: CodebookTargets, student: Recognizer) -> None:
        """Build the classifiers for the source's codebooks on the student's layer."""
        num_indexes = source.num_codebooks * frames_within(student.frame_shift, source.frame_shift)
        alignment = FrameAlignment("codebook", settings, student)
        super().__init__(alignment, num_indexes)
        self.num_indexes = num_indexes
        self.codebook_size = source.codebook_size
        self.predict = nn.Linear(alignment.dim, self.num_indexes * source.codebook_size)
        self.joint: Autoregression | None = None
        if settings.head == "joint":
            self.joint = Autoregression(
                alignment.dim, self.num_indexes, source.codebook_size, settings.hidden_dim
            )

    @property
    def factor(self) -> float:
        """FACTOR * sqrt(C), the factor of the mean over codebooks in the total loss."""
        return FACTOR * math.sqrt(self.num_indexes)

    def forward(self, output: RecognizerOutput, targets: FrameTargets) -> Tensor:
        """Sum -log P(index) over frames and codebooks, a scalar () in nats."""
        frames, indexes = self._alignment.frames(output, targets)
        indexes = indexes.long()  # from uint8
        if self.joint is None:
            return linear_cross_entropy(frames, self.predict.weight, self.predict.bias, indexes)
        return codebook_cross_entropy(self.logits(frames, indexes), indexes)

    def logits(self, frames: Tensor, indexes: Tensor) -> Tensor:
        """Compute the scores of the entries of each codebook.

        Args:
            frames: (frames, D) frames of the student's layer.
            indexes: (frames, C) true indexes, int64; the independent head ignores them.

        Returns:
            Logits (frames, C, K).
        """
        scores: Tensor = self.predict(frames).unflatten(-1, (-1, self.codebook_size))
        if self.joint is not None:
            scores = scores + self.joint(frames, indexes)
        return scores


class Autoregression(nn.Module):
    """Scores of the joint head, conditioned on the indexes of earlier codebooks.

    The hidden vector of a codebook is a linear map of the student's frame plus
    the embeddings of the indexes of all earlier codebooks.
    """

    def __init__(self, dim: int, num_indexes: int, codebook_size: int, hidden_dim: int) -> None:
        """Create the parameters with random values.

        Args:
            dim: D, size of the student's layer.
            num_indexes: C, indexes per student frame.
            codebook_size: K, entries per codebook.
            hidden_dim: H, hidden values of the joint head.
        """
        super().__init__()
        self.codebook_size = codebook_size
        self.hidden = nn.Linear(dim, hidden_dim)
        self.weight = nn.Parameter(torch.empty(num_indexes, codebook_size, hidden_dim))
        nn.init.uniform_(self.weight, -(hidden_dim**-0.5), hidden_dim**-0.5)  # as in a linear layer
        self.previous: nn.Embedding | None = None
        if num_indexes > 1:  # a single codebook has no earlier one
            self.previous = nn.Embedding((num_indexes - 1) * codebook_size, hidden_dim)
        self._gain = 0.5 * math.sqrt(hidden_dim / num_indexes)  # factor on the embeddings, as in the package

    def forward(self, frames: Tensor, indexes: Tensor) -> Tensor:
        """Compute scores (frames, C, K) from (frames, D) and the true indexes (frames, C), int64."""
        steps = self.hidden(frames)[:, None]  # (frames, 1, H)
        if self.previous is not None:
            offsets = torch.arange(indexes.shape[1] - 1, device=indexes.device) * self.codebook_size
            embedded = self.previous(indexes[:, :-1] + offsets) * self._gain
            steps = torch.cat([steps, embedded.to(steps.dtype)], dim=1)
        hidden = steps.float().cumsum(dim=1).relu()  # (frames, C, H)
        return torch.matmul(hidden.transpose(0, 1), self.weight.transpose(1, 2)).transpose(0, 1)


def codebook_cross_entropy(logits: Tensor, indexes: Tensor) -> Tensor:
    """Sum -log softmax(logits)[index] in nats, a scalar in float32.

    Args:
        logits: (frames, C, K) scores of the entries of each codebook.
        indexes: (frames, C) integers in [0, K).
    """
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), indexes.long().flatten(), reduction="sum"
    )


def _source(settings: CodebookConfig, tokens: Tokens) -> TargetSource:
    return codebook_source(settings.targets)


def _build(settings: CodebookConfig, source: Any, student: Recognizer) -> Objective:
    return Codebook(settings, source, student)


KIND = Kind("codebook", CodebookConfig, _source, _build)
