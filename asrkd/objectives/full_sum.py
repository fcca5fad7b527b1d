"""Full-sum distillation: the distance of the teacher's and the student's log P of whole token sequences.

Source: Zeineldeen, Audhkhasi, Baskar and Ramabhadran, arXiv:2303.05958. The
student need not find a hypothesis likely, as in Seq-KD, but as likely as its
teacher finds it, so that a wrong one is not learned for certain. Log P sums over
all alignments: neither frame rates nor alignments of the two need to be alike.

With k hypotheses y of an utterance x, of weights w, 1 / k each by default,

    L = sum_y w(y) |log P_teacher(y | x) - log P_student(y | x)|

and with ``normalized``, the paper's FS-Norm, both are log P(y | x) - log sum_z
P(z | x), z being the utterance's hypotheses: how they are ranked is distilled,
and not how likely the list is.

The paper's equations could not be read, its abstract and a summary could:
docs/methods/seq-kd.md has what is known. Choices: sums are divided by tokens, as
those of other objectives of sequences, so that the loss of an utterance is L over
its mean number of tokens; the list is the best ``num_hypotheses`` of a store; where
k2 is, the student's log P is that of the pruned lattice, whose simple loss trains
its own two maps and nothing else.

Notation: N utterances, S sequences.
"""

from typing import Any

import torch
from pydantic import model_validator
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.base import Kind, Objective
from asrkd.objectives.transducer import TransducerLoss, TransducerLossConfig
from asrkd.targets.sequences import SequenceTargets
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.nbest import NbestLists, NbestSource, sequence_source
from asrkd.targets.sources.settings import TRANSCRIPT

WHOLE_SEQUENCE = (
    "log P(token sequence"  # how a contract's meaning of the score begins, of searches by one model
)


class FullSumConfig(TransducerLossConfig):
    """Settings of the objective ``full_sum``, beside those of ``transducer``."""

    normalized: bool = False  # FS-Norm: whether log P are normalized over the hypotheses of an utterance

    @model_validator(mode="after")
    def _needs_a_list(self) -> "FullSumConfig":
        if self.targets == TRANSCRIPT:
            raise ValueError("targets: transcript has no teacher's log P; give the path of an N-best store")
        if self.normalized and (self.expand or self.num_hypotheses == 1):
            raise ValueError(
                "normalized leaves nothing of one hypothesis; set expand: false and num_hypotheses: 2 or more"
            )
        return self


class FullSum(TransducerLoss):
    """Weighted L1 distance of the teacher's and the student's log P of the sequences of each utterance."""

    name = "full_sum"

    def __init__(self, settings: FullSumConfig, student: Recognizer) -> None:
        """Build as :class:`asrkd.objectives.transducer.TransducerLoss` does, with its errors."""
        super().__init__(settings, student)
        self._normalized = settings.normalized

    def usable(self, targets: SequenceTargets, num_frames: Tensor) -> Tensor:
        """Return which sequences fit ``num_frames`` (N,) and are possible for the teacher, (S,) boolean.

        Raises:
            ValueError: the targets have no log P of a teacher.
        """
        return super().usable(targets, num_frames) & _log_probs(targets).isfinite()

    def forward(self, output: RecognizerOutput, targets: SequenceTargets) -> Tensor:
        """Compute the weighted sum of distances over the batch, a scalar () in nats.

        Raises:
            ValueError: the targets have no log P of a teacher.
        """
        targets = targets.take(self.usable(targets, output.num_frames).nonzero().flatten())
        if len(targets.tokens) == 0:
            return output.memory().new_zeros((), dtype=torch.float32)
        simple, losses = self.losses(output, targets, maps_alone=True)
        teacher, ours = _log_probs(targets), -losses
        if self._normalized:
            rows = len(output.num_frames)
            teacher = normalized_log_probs(teacher, targets.utterance, rows)
            ours = normalized_log_probs(ours, targets.utterance, rows)
        distance = ((teacher - ours).abs() * targets.weight).sum()
        if simple is None:
            return distance
        simple_scale, pruned_scale = self.scales()
        return pruned_scale * distance + simple_scale * (simple * targets.weight).sum()


def _log_probs(targets: SequenceTargets) -> Tensor:
    """Return the teacher's log P of the sequences, (S,); ValueError without them."""
    if targets.log_prob is None:
        raise ValueError("full-sum distillation needs the teacher's log P of each sequence")
    return targets.log_prob


def normalized_log_probs(log_probs: Tensor, utterance: Tensor, num_utterances: int) -> Tensor:
    """Subtract the logarithm of the sum of probabilities over each utterance's sequences.

    Args:
        log_probs: (S,) log-probabilities of sequences, finite.
        utterance: (S,) int64, their utterances.
        num_utterances: N.

    Returns:
        (S,) log-probabilities whose probabilities sum to 1 in each utterance.
    """
    rows = torch.arange(num_utterances, device=utterance.device)
    of_row = utterance == rows[:, None]  # (N, S)
    best = torch.where(of_row, log_probs.detach(), -torch.inf).amax(dim=1)[utterance]
    below = log_probs - best  # of like sizes whatever the length of the audio, so that digits are kept
    return below - torch.where(of_row, below, -torch.inf).logsumexp(dim=1)[utterance]


def _source(settings: FullSumConfig, tokens: Tokens) -> TargetSource:
    source = sequence_source(settings, tokens)
    assert isinstance(source, NbestSource)
    _check_scores(source.lists)
    return source


def _check_scores(lists: NbestLists) -> None:
    """Raise AsrkdError unless the scores of the store are log P of whole sequences under one model."""
    store = lists.store
    meaning = str(store.contract.get("score", "unknown"))
    if not meaning.startswith(WHOLE_SEQUENCE):
        raise AsrkdError(
            f"objectives, full_sum: the scores of {store.path} are {meaning}: expected log P(token sequence "
            "| audio) by one model; make another store with --search transducer-beam, prefix-beam or "
            f"attention; this one was made with: {store.remake}"
        )


def _build(settings: FullSumConfig, source: Any, student: Recognizer) -> Objective:
    return FullSum(settings, student)


KIND = Kind("full_sum", FullSumConfig, _source, _build)
