"""Cross-entropy of the teacher's codebook indexes, predicted from a layer of the student.

Source: Guo et al., "Predicting Multi-Codebook Vector Quantization Indexes
for Knowledge Distillation" (MVQ-KD), arXiv:2211.00508, section 3: one linear
layer and a softmax per codebook, independent of one another.

Departure: the paper sums over frames and codebooks; this is divided by the
number of indexes (by the trainer), so that a scale means the same for 4
codebooks and for 32. At chance it is ln 256 = 5.55 nats.

Letters: N utterances, T student frames, C indexes a student frame, K entries
of a codebook, D size of the student's layer.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from asrkd.errors import AsrkdError
from asrkd.models.conformer import Tap
from asrkd.models.recogniser import Recogniser, RecogniserOutput
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig, TargetSource
from asrkd.targets.alignment import align
from asrkd.targets.codebook import CodebookSource
from asrkd.targets.frames import FrameTargets
from asrkd.tokens import Tokens


class CodebookConfig(ObjectiveConfig):
    """Settings of the objective ``codebook``."""

    targets: str  # a store made by `asrkd distill codebook`
    layer: int = Field(ge=1)  # of the student, whose output after its norm predicts the indexes
    delay: int = Field(0, ge=0)  # student frames by which a streaming student may lag the teacher


class Codebook(Objective):
    """Independent linear classifiers, one per codebook, on a layer of the student."""

    def __init__(self, settings: CodebookConfig, source: CodebookSource, student: Recogniser) -> None:
        """Build the classifiers for the store's codebooks on the student's layer."""
        super().__init__()
        self._tap = Tap(settings.layer)
        self._delay = settings.delay
        self._frame_shift = student.frame_shift
        try:
            student.encoder.check_taps([self._tap])
        except ValueError as error:
            raise AsrkdError(f"objectives, codebook: {error}") from None
        width = source.num_codebooks * source.stacking(student.frame_shift)
        self.codebook_size = source.codebook_size
        self.predict = nn.Linear(student.dim, width * source.codebook_size)

    def taps(self) -> list[Tap]:
        """The student's layer."""
        return [self._tap]

    def count(self, targets: FrameTargets, num_frames: Tensor) -> float:
        """Number of indexes that have one of the student's ``num_frames`` (N,) to predict them."""
        aligned = align(targets, num_frames, self._frame_shift, delay=self._delay)
        return float(aligned.mask.sum()) * aligned.values.shape[2]

    def forward(self, output: RecogniserOutput, targets: FrameTargets) -> Tensor:
        """Sum over frames and codebooks of -log P(index), in nats."""
        aligned = align(targets, output.num_frames, self._frame_shift, delay=self._delay)
        real = output.tapped[self._tap][:, : aligned.mask.shape[1]][aligned.mask]  # (frames, D)
        logits = self.predict(real).float().unflatten(-1, (-1, self.codebook_size))  # (frames, C, K)
        return codebook_cross_entropy(logits, aligned.values[aligned.mask])


def codebook_cross_entropy(logits: Tensor, indexes: Tensor) -> Tensor:
    """Sum of -log softmax(logits)[index] in nats, a scalar.

    Args:
        logits: (frames, C, K) scores of the entries of each codebook.
        indexes: (frames, C) integers in [0, K).
    """
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), indexes.flatten().long(), reduction="sum")


def _source(settings: CodebookConfig, tokens: Tokens) -> TargetSource:
    return CodebookSource(settings.targets)


def _build(settings: CodebookConfig, source: Any, student: Recogniser) -> Objective:
    return Codebook(settings, source, student)


KIND = Kind("codebook", CodebookConfig, _source, _build)
