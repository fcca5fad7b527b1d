"""Cross-entropy of token sequences under an attention decoder: -log P(tokens, end | audio).

Source: Chan et al., "Listen, attend and spell", arXiv:1508.01211, equation 14;
label smoothing: Szegedy et al., arXiv:1512.00567, section 7; a rate of teacher
forcing below 1 is the scheduled sampling of Bengio et al., arXiv:1506.03099,
with a constant rate, as in Mun'im et al. (arXiv:1811.04531). They do not
state whether it is drawn for each token or each sequence, nor which token
replaces the reference; here it is drawn for each token, and the replacement is
the decoder's likeliest token or a sample.

Targets are those of the objective ``ctc``: the transcript, or hypotheses of a
teacher with their weights, which share one encoding. The loss is in nats per
reference token, ends of sentences included.

Notation: N utterances, S sequences (one or several for each utterance), U
tokens after padding, V tokens with the boundary at 0.
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
    """Settings of the objective ``attention``; validation has full teacher forcing and no smoothing."""

    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)  # share of the target that is spread over all tokens
    teacher_forcing: float = Field(1.0, ge=0.0, le=1.0)  # share of decoder inputs from the reference
    instead: Literal["argmax", "sample"] = "argmax"  # other decoder inputs: likeliest, or sampled

    @model_validator(mode="after")
    def _no_setting_without_effect(self) -> "AttentionConfig":
        if self.instead == "sample" and self.teacher_forcing == 1:
            raise ValueError("instead: sample has no effect with teacher_forcing: 1; lower it")
        return self


class Attention(Objective):
    """Weighted cross-entropy over the sequences of each utterance."""

    def __init__(self, settings: AttentionConfig, student: Student) -> None:
        """Keep the student's decoder; AsrkdError if it has none."""
        super().__init__()
        self._settings = settings
        # In a tuple, or its parameters would be registered as the objective's too.
        self._decoder = (need_decoder("attention", student),)

    def count(self, targets: SequenceTargets, num_frames: Tensor) -> float:
        """Count tokens and ends of sequences, averaged over an utterance's sequences.

        As for ``ctc`` it is independent of weights, and of ``num_frames`` (N,) too.
        """
        return float((targets.share * (targets.num_tokens + 1)).sum())

    def forward(self, output: RecognizerOutput, targets: SequenceTargets) -> Tensor:
        """Compute the weighted sum over the batch of -log P(sequence, end | audio), a scalar () in nats."""
        (decoder,) = self._decoder
        encoded, rate = output.memory(), self._settings.teacher_forcing if self.training else 1.0
        if len(targets.tokens) == 0:
            return encoded.new_zeros((), dtype=torch.float32)
        inputs = targets.tokens
        if rate < 1:
            inputs = self._sampled_inputs(decoder, encoded, output.num_frames, targets)
        logits = decoder(encoded, output.num_frames, inputs, targets.num_tokens, targets.utterance)
        smoothing = self._settings.label_smoothing if self.training else 0.0
        return attention_sum(logits, targets, smoothing)

    @torch.no_grad()
    def _sampled_inputs(
        self, decoder: Decoder, encoded: Tensor, num_frames: Tensor, targets: SequenceTargets
    ) -> Tensor:
        """Draw decoder inputs (S, U): targets at random places, the decoder's predictions at others.

        Predictions are conditioned on the inputs before them, without dropout.
        """
        forced = torch.rand(targets.tokens.shape, device=encoded.device) < self._settings.teacher_forcing
        was_training = decoder.training
        decoder.eval()
        state = decoder.start(encoded, num_frames).take(targets.utterance)
        token, inputs = torch.full_like(targets.num_tokens, BOUNDARY), []
        for place in range(targets.tokens.shape[1]):
            log_probs, state = decoder.step(token, state)
            sampled = self._settings.instead == "sample"
            predicted = log_probs.exp().multinomial(1)[:, 0] if sampled else log_probs.argmax(dim=-1)
            token = torch.where(forced[:, place], targets.tokens[:, place], predicted)
            inputs.append(token)
        decoder.train(was_training)
        return torch.stack(inputs, dim=1)


def attention_sum(logits: Tensor, targets: SequenceTargets, label_smoothing: float = 0.0) -> Tensor:
    """Compute the weighted sum of -log P(token | earlier tokens, audio) over all tokens and ends, in nats.

    Args:
        logits: (S, U + 1, V) logits of the decoder; arbitrary beyond the end of a sequence.
        targets: S sequences with their weights.
        label_smoothing: share of each target that is spread evenly over the V tokens.

    Returns:
        A scalar ().
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
