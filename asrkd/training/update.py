"""One update of the weights from a group of batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from asrkd.errors import AsrkdError
from asrkd.models.front_end import num_encoder_frames
from asrkd.training.config import TrainConfig
from asrkd.training.learner import Learner, Term
from asrkd.training.loader import Batch
from asrkd.training.precision import Precision
from asrkd.training.randomness import derive

MAX_SKIPPED = 50  # updates in a row without a finite gradient


@dataclass(frozen=True)
class UpdateReport:
    """What an update did."""

    loss: float  # all terms, scaled
    losses: dict[str, float]  # of each term, per token or index
    gradient_norm: float  # before clipping
    lr: float
    audio_s: float  # seconds of audio in the group

    def values(self) -> dict[str, float]:
        """Numbers for the log."""
        common = {"loss": self.loss, "gradient_norm": self.gradient_norm, "lr": self.lr}
        return common | {f"loss_{label}": loss for label, loss in self.losses.items()}


class Update:
    """Makes updates under the terms of one phase."""

    def __init__(
        self, learner: Learner, terms: Sequence[Term], config: TrainConfig, precision: Precision
    ) -> None:
        """Args as they are read; ``terms`` are those of the phase."""
        self.learner, self.terms, self.config, self.precision = learner, terms, config, precision
        self.taps = learner.taps(terms)
        self._skipped = 0

    def __call__(
        self, optimiser: torch.optim.Optimizer, batches: Sequence[Batch], lr: float, step: int
    ) -> UpdateReport:
        """Sum gradients over ``batches`` and step once.

        Each term is divided by its count over all batches, so the same
        utterances give the same gradient however they are batched.

        Raises:
            AsrkdError: the gradient was not finite many times in a row.
        """
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.zero_grad(set_to_none=True)
        counts = self._counts(batches)
        losses = dict.fromkeys(counts, 0.0)
        for number, batch in enumerate(batches):
            torch.manual_seed(derive(self.config.seed, "update", step, number))
            for label, loss in self._backward(batch, counts).items():
                losses[label] += loss
        norm = self._step(optimiser, step)
        total = sum(term.scale * losses[term.label] for term in self.terms)
        return UpdateReport(total, losses, norm, lr, sum(batch.audio_s for batch in batches))

    def _counts(self, batches: Sequence[Batch]) -> dict[str, float]:
        """What each term is a sum over, in all batches together."""
        counts = {term.label: 0.0 for term in self.terms}
        for batch in batches:
            num_frames = num_encoder_frames(batch.num_frames)
            for label in counts:
                counts[label] += self.learner.objective(label).count(batch.targets[label], num_frames)
        return {label: max(count, 1.0) for label, count in counts.items()}

    def _backward(self, batch: Batch, counts: dict[str, float]) -> dict[str, float]:
        """Add the gradients of one batch; its share of each term's loss."""
        with self.precision.autocast():
            output = self.learner.student(batch.features, batch.num_frames, self.taps)
            losses = {
                label: self.learner.objective(label)(output, batch.targets[label]) / count
                for label, count in counts.items()
            }
        total = torch.stack([term.scale * losses[term.label] for term in self.terms]).sum()
        self.precision.scaler.scale(total).backward()
        return {label: float(loss.detach()) for label, loss in losses.items()}

    def _step(self, optimiser: torch.optim.Optimizer, step: int) -> float:
        """Clip and step, unless the gradient is not finite; its norm before clipping."""
        scaler = self.precision.scaler
        scaler.unscale_(optimiser)
        norm = float(torch.nn.utils.clip_grad_norm_(self.learner.parameters(), self.config.optim.clip_norm))
        if norm < float("inf"):  # False for NaN too
            scaler.step(optimiser)
            self._skipped = 0
        else:
            self._skipped += 1
        scaler.update()
        if self._skipped > MAX_SKIPPED:
            raise AsrkdError(
                f"step {step}: no finite gradient in {MAX_SKIPPED} updates; "
                "lower optim.lr or raise optim.warmup_steps"
            )
        return norm
