"""One update of the weights from a group of batches, which processes may share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from asrkd.core.errors import AsrkdError
from asrkd.core.randomness import derive, seed_torch
from asrkd.models.front_end import num_encoder_frames
from asrkd.training.config import TrainConfig
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner, LossTerm
from asrkd.training.loader import Batch
from asrkd.training.update_batches import UpdateBatches

MAX_SKIPPED = 50  # updates in a row without a finite gradient


@dataclass(frozen=True)
class UpdateReport:
    """What an update did."""

    loss: float  # all terms, scaled
    losses: dict[str, float]  # of each term, over what its objective counts: tokens, indexes, values, frames
    gradient_norm: float  # before clipping
    lr: float
    audio_s: float  # seconds of audio in the group

    def values(self) -> dict[str, float]:
        """Numbers for the log."""
        common = {"loss": self.loss, "gradient_norm": self.gradient_norm, "lr": self.lr}
        return common | {f"loss_{label}": loss for label, loss in self.losses.items()}

    @classmethod
    def of_all(cls, reports: Sequence["UpdateReport"]) -> "UpdateReport":
        """The report of an update from those of the processes that shared it."""
        first = reports[0]  # norm and rate are equal in all
        losses = {label: sum(report.losses[label] for report in reports) for label in first.losses}
        total, audio_s = sum(report.loss for report in reports), sum(report.audio_s for report in reports)
        return cls(total, losses, first.gradient_norm, first.lr, audio_s)


class Update:
    """Makes the updates of a run."""

    def __init__(
        self, model: torch.nn.Module, learner: Learner, config: TrainConfig, machine: Environment
    ) -> None:
        """Prepare.

        Args:
            model: ``learner`` as ``machine.processes`` distribute it.
            learner: what is trained.
            config: of the run.
            machine: what it is carried out on.
        """
        self.model, self.learner, self.config, self.machine = model, learner, config, machine
        self._skipped = 0

    def __call__(
        self,
        optimizer: torch.optim.Optimizer,
        group: UpdateBatches,
        terms: Sequence[LossTerm],
        lr: float,
        step: int,
    ) -> UpdateReport:
        """Sum the gradients of ``terms`` over the batches of ``group`` in all processes, and step once.

        Each term is divided by its count over all batches of all processes, so
        the same utterances give the same gradient however they are divided.

        Returns:
            This process's part of the report; see :meth:`UpdateReport.of_all`.

        Raises:
            AsrkdError: the gradient was not finite many times in a row.
        """
        for parameters in optimizer.param_groups:
            parameters["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        counts = self._counts(group.batches.values(), terms)
        losses = self._backward(group, terms, counts, step)
        norm = self._step(optimizer, step)
        total = sum(term.scale * losses[term.label] for term in terms)
        return UpdateReport(total, losses, norm, lr, sum(batch.audio_s for batch in group.batches.values()))

    def _counts(self, batches: Iterable[Batch], terms: Sequence[LossTerm]) -> dict[str, float]:
        """What each term is a sum over, in all batches of all processes together."""
        counts = {term.label: 0.0 for term in terms}
        for batch in batches:
            num_frames = num_encoder_frames(batch.num_frames)
            for label in counts:
                counts[label] += self.learner.objective(label).count(batch.targets[label], num_frames)
        everywhere = self.machine.processes.exchange(counts)
        return {label: max(sum(part[label] for part in everywhere), 1.0) for label in counts}

    def _backward(
        self, group: UpdateBatches, terms: Sequence[LossTerm], counts: dict[str, float], step: int
    ) -> dict[str, float]:
        """Leave the gradients of the whole update; this process's share of each term's loss."""
        processes, precision = self.machine.processes, self.machine.precision
        losses = dict.fromkeys(counts, 0.0)
        batches: dict[int, Batch | None] = {**group.batches} or {processes.rank: None}
        last = max(batches)
        for number, batch in batches.items():
            seed_torch(derive(self.config.seed, "update", step, number))
            with processes.backward_pass(self.model, is_last=number == last):
                with precision.autocast():
                    total, shares = self.model(batch, terms, counts)
                # Gradients are averaged over processes, and a sum is wanted.
                precision.scaler.scale(total * processes.count).backward()
            for label, share in shares.items():
                losses[label] += float(share)
        return losses

    def _step(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        """Clip and step, unless the gradient is not finite; its norm before clipping."""
        scaler = self.machine.precision.scaler
        scaler.unscale_(optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.learner.parameters(), self.config.optim.clip_norm))
        if norm < float("inf"):  # False for NaN too
            scaler.step(optimizer)
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
