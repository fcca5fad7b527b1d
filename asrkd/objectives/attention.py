"""Cross-entropy of token sequences under an attention decoder: -log P(tokens, end | audio).

Source: Chan et al., "Listen, attend and spell", arXiv:1508.01211, equation 14;
label smoothing: Szegedy et al., arXiv:1512.00567, section 7; a rate of teacher
forcing below 1 is the scheduled sampling of Bengio et al., arXiv:1506.03099,
with one rate for the whole training, as Mun'im et al. (arXiv:1811.04531) have
it. They do not say whether it is drawn for each token or for a sequence, nor
what stands in place of the reference: here for each token, the decoder's
likeliest one, or one drawn.

Targets are those of the objective ``ctc``: the transcript, or hypotheses of a
teacher with their weights, which share one encoding. Nats are per reference token, the end of the
sentence counted.

Letters: N utterances, S sequences (one or several an utterance), U tokens
after padding, V tokens with the boundary at 0.
"""

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from asrkd.data.tokens import Tokens
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import Recognizer, RecognizerOutput, Student
from asrkd.models.stepwise import BOUNDARY, Decoder, labels
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig, need_decoder
from asrkd.targets.sequences import SequenceTargets
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.nbest import sequence_source
from asrkd.targets.sources.settings import SequenceSettings


class AttentionConfig(SequenceSettings, ObjectiveConfig):
    """Settings of the objective ``attention``; in validation all tokens are told and nothing is smoothed."""

    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)  # share of the target spread over all tokens
    teacher_forcing: float = Field(1.0, ge=0.0, le=1.0)  # share of tokens told as the reference has them
    instead: Literal["argmax", "sample"] = "argmax"  # which of its own tokens the decoder is told for others

    @model_validator(mode="after")
    def _no_tokens_of_its_own(self) -> "AttentionConfig":
        if self.instead == "sample" and self.teacher_forcing == 1:
            raise ValueError("instead: sample has no effect at teacher_forcing 1; give a lower one")
        return self


class Attention(Objective):
    """Weighted cross-entropy over the sequences of each utterance."""

    def __init__(self, settings: AttentionConfig, student: Student) -> None:
        """Take the student's decoder; AsrkdError if it has none."""
        super().__init__()
        self._settings = settings
        # In a tuple, or its parameters would be the objective's as well.
        self._decoder = (need_decoder("attention", student),)

    def count(self, targets: SequenceTargets, num_frames: Tensor) -> float:
        """Number of tokens with the end of each sequence, the mean over an utterance's sequences.

        As for ``ctc``, weights do not count in it; nor do ``num_frames`` (N,).
        """
        return float((targets.share * (targets.num_tokens + 1)).sum())

    def forward(self, output: RecognizerOutput, targets: SequenceTargets) -> Tensor:
        """Weighted sum over the batch of -log P(sequence, end | audio), a scalar () in nats."""
        (decoder,) = self._decoder
        encoded, rate = output.memory(), self._settings.teacher_forcing if self.training else 1.0
        if len(targets.tokens) == 0:
            return encoded.new_zeros((), dtype=torch.float32)
        given = targets.tokens
        if rate < 1:
            given = self._partly_own(decoder, encoded, output.num_frames, targets)
        logits = decoder(encoded, output.num_frames, given, targets.num_tokens, targets.utterance)
        smoothing = self._settings.label_smoothing if self.training else 0.0
        return attention_sum(logits, targets, smoothing)

    @torch.no_grad()
    def _partly_own(
        self, decoder: Decoder, encoded: Tensor, num_frames: Tensor, targets: SequenceTargets
    ) -> Tensor:
        """(S, U) tokens to be told: those of the targets at random places, the decoder's own at others.

        Each of its own follows from what it was told before; it answers without dropout.
        """
        forced = torch.rand(targets.tokens.shape, device=encoded.device) < self._settings.teacher_forcing
        was_training = decoder.training
        decoder.eval()
        state = decoder.start(encoded, num_frames).take(targets.utterance)
        token, given = torch.full_like(targets.num_tokens, BOUNDARY), []
        for place in range(targets.tokens.shape[1]):
            log_probs, state = decoder.step(token, state)
            sampled = self._settings.instead == "sample"
            own = log_probs.exp().multinomial(1)[:, 0] if sampled else log_probs.argmax(dim=-1)
            token = torch.where(forced[:, place], targets.tokens[:, place], own)
            given.append(token)
        decoder.train(was_training)
        return torch.stack(given, dim=1)


def attention_sum(logits: Tensor, targets: SequenceTargets, label_smoothing: float = 0.0) -> Tensor:
    """Weighted sum of -log P(token | tokens before it, audio) over all tokens and ends, a scalar in nats.

    Args:
        logits: (S, U + 1, V), of the decoder; beyond the end of a sequence they may hold anything.
        targets: S sequences, each with its weight.
        label_smoothing: share of each target that is spread evenly over the V tokens.
    """
    real = frame_mask(targets.num_tokens + 1, logits.shape[1])
    losses = torch.nn.functional.cross_entropy(
        logits[real].float(),
        labels(targets.tokens, targets.num_tokens)[real],
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return (losses * targets.weight[:, None].expand_as(real)[real]).sum()


def _source(settings: AttentionConfig, tokens: Tokens) -> TargetSource:
    return sequence_source(settings, tokens)


def _build(settings: AttentionConfig, source: Any, student: Recognizer) -> Objective:
    return Attention(settings, student)


KIND = Kind("attention", AttentionConfig, _source, _build)
