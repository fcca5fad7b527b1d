"""Connectionist temporal classification of token sequences: -log P(tokens | audio).

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, eq. 8.

With ``targets: transcript`` this is ordinary training. With the path of an
N-best store it is Seq-KD (Mun'im, Inoue and Shinoda, arXiv:1811.04531,
section 2): the teacher's hypotheses replace the transcript; with
``weights.beta`` it is ERR-KD (Kim et al., ICASSP 2019). Departures from the
papers: :mod:`asrkd.targets.sources.nbest`,
:mod:`asrkd.targets.sources.nbest_weights`.

Notation: N utterances, S sequences (one or several for each utterance), T
encoder frames, U tokens after padding, V tokens with blank at 0.
"""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from asrkd.core.config import LaterKeys
from asrkd.data.tokens import BLANK_ID, Tokens
from asrkd.models.encoder import Tap
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig, head_tap
from asrkd.objectives.ctc_tree.one_pass import OnePassSum, is_worthwhile
from asrkd.objectives.too_short import TooShort
from asrkd.targets.sequences import SequenceTargets
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.nbest import sequence_source
from asrkd.targets.sources.settings import SequenceSettings


class CtcConfig(LaterKeys, SequenceSettings, ObjectiveConfig):
    """Settings of the objective ``ctc``."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"layer"})
    layer: int | None = Field(None, ge=1)  # layer of the student for an intermediate head; None: its own head


class Ctc(Objective):
    """Weighted CTC loss over the sequences of each utterance."""

    def __init__(self, subsampling: int, head: Tap | None = None) -> None:
        """Keep the student's rate and the tap of an intermediate head.

        Args:
            subsampling: feature frames in an encoder frame, which say what sequences are too long.
            head: tap of an intermediate head; None: the student's own.
        """
        super().__init__()
        self._subsampling, self._head = subsampling, head

    def heads(self) -> list[Tap]:
        """Return the layer of the intermediate head, if it is one."""
        return [] if self._head is None else [self._head]

    def count(self, targets: SequenceTargets, num_frames: Tensor) -> float:
        """Count the tokens that ``num_frames`` (N,) can align, averaged over an utterance's sequences.

        The count is independent of weights: small weights give a small loss.
        """
        possible = alignable(targets, num_frames)
        return float((targets.share * targets.num_tokens * possible).sum())

    def dropped(self) -> TooShort:
        """Return a counter of sequences that need more frames than the encoder has."""
        return TooShort(self._subsampling)

    def forward(self, output: RecognizerOutput, targets: SequenceTargets) -> Tensor:
        """Compute the weighted sum over the batch of -log P(sequence | audio), a scalar () in nats."""
        return ctc_sum(output.log_probs(self._head), output.num_frames, targets)


def ctc_sum(log_probs: Tensor, num_frames: Tensor, targets: SequenceTargets) -> Tensor:
    """Compute the weighted sum of -log P(sequence | audio) over all sequences, a scalar in nats.

    A sequence that needs more frames than the encoder has is of probability
    zero, without gradient; it is left out here and in the count. Several
    sequences of an utterance are computed in one pass where that is faster
    (:mod:`asrkd.objectives.ctc_tree.one_pass`).

    Args:
        log_probs: (N, T, V) log-softmax outputs; arbitrary in padding.
        num_frames: (N,) encoder frames.
        targets: S sequences.
    """
    keep = alignable(targets, num_frames).nonzero().flatten()
    if not is_worthwhile(log_probs, targets.utterance[keep]):
        return separate_sum(log_probs, num_frames, targets, keep)
    total: Tensor
    total, exact = OnePassSum.apply(log_probs, num_frames, targets, keep)  # type: ignore[no-untyped-call]
    left = keep[~exact]
    return total if len(left) == 0 else total + separate_sum(log_probs, num_frames, targets, left)


def separate_sum(log_probs: Tensor, num_frames: Tensor, targets: SequenceTargets, keep: Tensor) -> Tensor:
    """Compute the sum of :func:`ctc_sum` over selected sequences by PyTorch's loss, a scalar in nats.

    Args:
        log_probs: (N, T, V) log-softmax outputs; arbitrary in padding.
        num_frames: (N,) encoder frames.
        targets: S sequences.
        keep: (S',) indexes of the selected sequences, int64; each fits its audio.
    """
    if len(keep) == 0:
        return log_probs.new_zeros(())
    owner = targets.utterance[keep]
    # Padding is removed from the math, but 0 * NaN in the backward pass would bring it back.
    clean = zero_padding(log_probs, frame_mask(num_frames, log_probs.shape[1]))
    losses = torch.nn.functional.ctc_loss(
        clean[owner].transpose(0, 1),
        targets.tokens[keep],
        num_frames[owner],
        targets.num_tokens[keep],
        blank=BLANK_ID,
        reduction="none",
    )
    return (losses * targets.weight[keep]).sum()


def alignable(targets: SequenceTargets, num_frames: Tensor) -> Tensor:
    """Return which sequences fit their audio: a frame for each token and one between equal neighbors.

    Args:
        targets: S sequences.
        num_frames: (N,) encoder frames.

    Returns:
        Mask (S,), boolean.
    """
    neighbors_equal = (targets.tokens[:, 1:] == targets.tokens[:, :-1]) & (targets.tokens[:, 1:] != BLANK_ID)
    needed = targets.num_tokens + neighbors_equal.sum(dim=1)
    return needed <= num_frames[targets.utterance]


def _source(settings: CtcConfig, tokens: Tokens) -> TargetSource:
    return sequence_source(settings, tokens)


def _build(settings: CtcConfig, source: Any, student: Recognizer) -> Objective:
    return Ctc(student.encoder.subsampling, head_tap("ctc", settings.layer, student))


KIND = Kind("ctc", CtcConfig, _source, _build)
