"""Transducer loss of token sequences: -log P(tokens | audio), exact or pruned.

Sources: Graves, arXiv:1211.3711; pruned: Kuang et al., arXiv:2206.13236, whose
simple loss trains two linear maps of its own, which are never exported.

Targets are those of the objective ``ctc``: the transcript, or hypotheses of a
teacher with their weights (Seq-KD, ERR-KD), which share one encoding. The loss
is in nats per reference token. A sequence with more tokens than frames is left
out, as decoding emits a token a frame at most.

Notation: N utterances, S sequences (one or several for each utterance), T
encoder frames, U tokens after padding, D size of an encoder frame, P of the
predictor, J of the joiner, V tokens with blank at 0.
"""

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError
from asrkd.core.installed import import_k2, version
from asrkd.data.tokens import Tokens
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.models.transducer_loss import full_losses
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig
from asrkd.objectives.pruned_transducer import (
    WITHOUT_K2,
    Lattices,
    PruneSettings,
    pruned_losses,
)
from asrkd.objectives.too_short import TooShort
from asrkd.targets.sequences import SequenceTargets
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.nbest import sequence_source
from asrkd.targets.sources.settings import SequenceSettings


class TransducerLossConfig(SequenceSettings, ObjectiveConfig):
    """Settings of the objective ``transducer``; those of the simple loss are icefall's."""

    loss: Literal["auto", "pruned", "full"] = "auto"  # auto: pruned where k2 is installed
    prune_range: int = Field(5, ge=2)  # places among the tokens at a frame
    lm_only_scale: float = Field(0.25, ge=0, le=1)
    am_only_scale: float = Field(0.0, ge=0, le=1)
    simple_scale: float = Field(0.5, ge=0)  # of the simple loss after the warm-up; 1 before it
    warmup_updates: int = Field(2000, ge=0)  # updates in which the scales change, pruned from 0.1 to 1

    @model_validator(mode="after")
    def _smoothed_less_than_all(self) -> "TransducerLossConfig":
        if self.lm_only_scale + self.am_only_scale > 1:
            raise ValueError("lm_only_scale and am_only_scale: expected a sum of at most 1")
        return self


class TransducerLoss(Objective):
    """Weighted transducer loss over the sequences of each utterance."""

    name = "transducer"  # in errors
    num_updates: Tensor  # () int64, begun

    def __init__(self, settings: TransducerLossConfig, student: Recognizer) -> None:
        """Build the maps of the simple loss; AsrkdError without a transducer, or without k2 if needed."""
        super().__init__()
        self._settings, self._subsampling = settings, student.encoder.subsampling
        if student.transducer is None:
            raise AsrkdError(
                f"objectives, {self.name}: the model has no transducer; give it one with "
                "model.transducer: {}"
            )
        self._transducer = (student.transducer,)  # in a tuple, or its parameters would be the objective's too
        self.is_pruned = settings.loss == "pruned" or (settings.loss == "auto" and version("k2") is not None)
        self.am = self.lm = None
        if self.is_pruned:
            import_k2(f"objectives, {self.name}: loss: pruned", WITHOUT_K2)
            num_tokens = student.architecture.num_tokens
            self.am = nn.Linear(student.dim, num_tokens)
            self.lm = nn.Linear(student.transducer.predictor.dim, num_tokens)
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.long))

    def count(self, targets: SequenceTargets, num_frames: Tensor) -> float:
        """Count the tokens of sequences that fit their ``num_frames`` (N,), averaged over an utterance."""
        return float((targets.share * targets.num_tokens * self.usable(targets, num_frames)).sum())

    def usable(self, targets: SequenceTargets, num_frames: Tensor) -> Tensor:
        """Return which sequences have at most a token a frame, (S,) boolean; ``num_frames`` (N,)."""
        frames = num_frames[targets.utterance]
        return (targets.num_tokens <= frames) & (frames > 0)

    def dropped(self) -> TooShort:
        """Return a counter of sequences with more tokens than the encoder has frames."""
        return TooShort(self._subsampling, len)

    def begin_update(self) -> None:
        """Count an update, on which the scales of the warm-up depend."""
        self.num_updates += 1

    def forward(self, output: RecognizerOutput, targets: SequenceTargets) -> Tensor:
        """Compute the weighted sum over the batch of the loss of each sequence, a scalar () in nats."""
        targets = targets.take(self.usable(targets, output.num_frames).nonzero().flatten())
        if len(targets.tokens) == 0:
            return output.memory().new_zeros((), dtype=torch.float32)
        simple, losses = self.losses(output, targets)
        if simple is None:
            return (losses * targets.weight).sum()
        simple_scale, pruned_scale = self.scales()
        return ((simple_scale * simple + pruned_scale * losses) * targets.weight).sum()

    def losses(
        self, output: RecognizerOutput, targets: SequenceTargets, *, maps_alone: bool = False
    ) -> tuple[Tensor | None, Tensor]:
        """Compute the simple loss, None without pruning, and the loss of each sequence, both (S,) in nats.

        Args:
            output: of the student.
            targets: S sequences that fit their frames, at least one.
            maps_alone: whether the simple loss has no gradient but that of its own maps.
        """
        (transducer,) = self._transducer
        encoded = output.memory()
        encoded = zero_padding(encoded, frame_mask(output.num_frames, encoded.shape[1]))
        frames = transducer.frames(encoded)
        hidden = transducer.predictor.hidden(targets.tokens)
        predictions = transducer.predictor.project(hidden)
        if self.am is None or self.lm is None:
            sequences = (targets.tokens, targets.num_tokens, targets.utterance)
            return None, full_losses(transducer, frames, output.num_frames, predictions, sequences)
        lattices = Lattices(
            frames=frames,
            predictions=predictions,
            am=self.am(encoded.detach() if maps_alone else encoded),
            lm=self.lm(hidden.detach() if maps_alone else hidden),
            num_frames=output.num_frames[targets.utterance],
            tokens=targets.tokens,
            num_tokens=targets.num_tokens,
            utterance=targets.utterance,
        )
        settings = self._settings
        pruning = PruneSettings(settings.prune_range, settings.lm_only_scale, settings.am_only_scale)
        return pruned_losses(transducer, lattices, pruning)

    def scales(self) -> tuple[float, float]:
        """Return the factors of the simple and the pruned loss: of validation 0 and 1."""
        if not self.training:
            return 0.0, 1.0
        warmup = self._settings.warmup_updates
        share = min(1.0, int(self.num_updates) / warmup) if warmup else 1.0
        return 1.0 - share * (1.0 - self._settings.simple_scale), 0.1 + 0.9 * share


def _source(settings: TransducerLossConfig, tokens: Tokens) -> TargetSource:
    return sequence_source(settings, tokens)


def _build(settings: TransducerLossConfig, source: Any, student: Recognizer) -> Objective:
    return TransducerLoss(settings, student)


KIND = Kind("transducer", TransducerLossConfig, _source, _build)
