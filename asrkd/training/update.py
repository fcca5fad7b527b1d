"""Update of the weights: gradients over several batches, which processes may share, and one step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from asrkd.core.errors import DivergedError, warn
from asrkd.core.randomness import derive, seed_torch
from asrkd.training.config import TrainConfig
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner, LossTerm
from asrkd.training.loader import Batch
from asrkd.training.update_batches import UpdateBatches

MAX_SKIPPED = 50  # updates in a row without a finite gradient; one more ends the run
MAX_IDLE = 20  # updates from the first one on without a target of an objective, after which a warning says so


@dataclass(frozen=True)
class UpdateReport:
    """Losses and gradient of an update."""

    loss: float  # scaled sum of all terms
    losses: dict[str, float]  # of each term, per unit that its objective counts: token, index, value, frame
    gradient_norm: float  # before clipping
    lr: float
    audio_s: float  # seconds of audio in the batches

    def values(self) -> dict[str, float]:
        """Return the numbers for the log."""
        common = {"loss": self.loss, "gradient_norm": self.gradient_norm, "lr": self.lr}
        return common | {f"loss_{label}": loss for label, loss in self.losses.items()}

    @classmethod
    def of_all(cls, reports: Sequence["UpdateReport"]) -> "UpdateReport":
        """Combine the reports of the processes that shared an update."""
        first = reports[0]  # norm and learning rate are equal in all
        losses = {label: sum(report.losses[label] for report in reports) for label in first.losses}
        total, audio_s = sum(report.loss for report in reports), sum(report.audio_s for report in reports)
        return cls(total, losses, first.gradient_norm, first.lr, audio_s)


class Update:
    """Updates of a learner: gradients over all batches and processes, then a step."""

    def __init__(
        self, model: torch.nn.Module, learner: Learner, config: TrainConfig, environment: Environment
    ) -> None:
        """Keep what every update needs.

        Args:
            model: the learner, distributed over the processes of the run.
            learner: the student and objectives to train.
            config: the run's settings.
            environment: device, precision and processes of the run, as seen by this process.
        """
        self.model, self.learner, self.config, self.environment = model, learner, config, environment
        self._skipped = 0
        self._idle: dict[str, int] = {}  # updates so far of objectives that have never had a target

    def __call__(
        self,
        optimizer: torch.optim.Optimizer,
        batches: UpdateBatches,
        terms: Sequence[LossTerm],
        lr: float,
        step: int,
        clip_norm: float,
    ) -> UpdateReport:
        """Sum the gradients of ``terms`` over ``batches`` in all processes, and step once.

        Each term is divided by its count over all batches of all processes, so
        the same utterances give the same gradient however they are divided.

        Returns:
            This process's share of the report; see :meth:`UpdateReport.of_all`.

        Raises:
            DivergedError: the gradient was not finite more than ``MAX_SKIPPED`` times in a row.
        """
        for parameters in optimizer.param_groups:
            parameters["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        counts = self._counts(batches.batches.values(), terms)
        for label in counts:
            self.learner.objective(label).begin_update()
        losses = dict.fromkeys(counts, 0.0)
        processes, precision = self.environment.processes, self.environment.precision
        numbered: dict[int, Batch | None] = {**batches.batches} or {processes.rank: None}
        last = max(numbered)
        for number, batch in numbered.items():
            seed_torch(derive(self.config.seed, "update", step, number))
            with processes.backward_pass(self.model, is_last=number == last):
                with precision.autocast():
                    loss, shares = self.model(batch, terms, counts)
                # DistributedDataParallel averages gradients over processes; the update needs their sum.
                precision.scaler.scale(loss * processes.count).backward()
            for label, share in shares.items():
                losses[label] += float(share)
        norm = self._step(optimizer, step, clip_norm)
        total = sum(float(self.learner.factor(term)) * losses[term.label] for term in terms)
        return UpdateReport(total, losses, norm, lr, sum(batch.audio_s for batch in batches.batches.values()))

    def _counts(self, batches: Iterable[Batch], terms: Sequence[LossTerm]) -> dict[str, float]:
        """Count the summands of each term in all batches of all processes, by label."""
        counts = {term.label: 0.0 for term in terms}
        for batch in batches:
            num_frames = self.learner.student.num_frames(batch.num_frames)
            for label in counts:
                counts[label] += self.learner.objective(label).count(batch.targets[label], num_frames)
        everywhere = self.environment.processes.exchange(counts)
        summed = {label: sum(share[label] for share in everywhere) for label in counts}
        self._warn_of_idle(summed)
        return {label: max(count, 1.0) for label, count in summed.items()}

    def _warn_of_idle(self, counts: Mapping[str, float]) -> None:
        """Warn once of an objective that has had nothing to learn in its first ``MAX_IDLE`` updates."""
        for label, count in counts.items():
            idle = self._idle.get(label, 0)
            self._idle[label] = idle + 1 if count == 0 and idle >= 0 else -1
            if idle + 1 == MAX_IDLE and count == 0 and self.environment.processes.rank == 0:
                warn(
                    f"objective {label}: no target in {MAX_IDLE} updates, so it teaches nothing; "
                    "check its targets, and that its delay is shorter than the audio"
                )

    def _step(self, optimizer: torch.optim.Optimizer, step: int, clip_norm: float) -> float:
        """Clip and step, unless the gradient is not finite; return its norm before clipping."""
        scaler = self.environment.precision.scaler
        scaler.unscale_(optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.learner.parameters(), clip_norm))
        if norm < float("inf"):  # False for NaN too
            scaler.step(optimizer)
            self._skipped = 0
        else:
            self._skipped += 1
        scaler.update()
        if self._skipped > MAX_SKIPPED:
            raise DivergedError(
                f"step {step}: no finite gradient in {self._skipped} updates in a row; "
                "lower optim.lr or raise optim.warmup_steps"
            )
        return norm
