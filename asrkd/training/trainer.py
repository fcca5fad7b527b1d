"""The training loop: phases of updates, with validation, snapshots and checkpoints between them."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut

from asrkd import faults
from asrkd.errors import AsrkdError
from asrkd.progress import Meter, meter
from asrkd.stopping import StopRequest, stopped
from asrkd.training import checkpoint as ckpt
from asrkd.training.augment import Augmentation
from asrkd.training.config import TrainConfig
from asrkd.training.learner import Learner, mean_weights
from asrkd.training.loader import Batch, BatchReader, load_batches
from asrkd.training.metrics import MetricLog
from asrkd.training.optim import learning_rate, make_optimiser
from asrkd.training.plan import EpochPlan, plan_epoch
from asrkd.training.precision import Precision
from asrkd.training.update import Update, UpdateReport
from asrkd.training.validation import Validator

LOG_EVERY_STEPS = 20


@dataclass(frozen=True)
class Machine:
    """What a run is carried out on; it decides the pace, not what is learned."""

    device: torch.device
    precision: Precision
    workers: int = 0  # loader processes


class Trainer:
    """Trains a learner by its config, from wherever its last checkpoint left it."""

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        cuts: Sequence[MonoCut],
        validator: Validator,
        machine: Machine,
    ) -> None:
        """Put the parts together; nothing is computed yet but the first epoch's plan."""
        self.config, self.learner, self.validator, self.machine = config, learner, validator, machine
        self.cuts = {cut.id: cut for cut in cuts}
        self.position = ckpt.Position()
        self.snapshots: list[dict[str, torch.Tensor]] = []
        self.augmentation = Augmentation(config.augment, config.seed)
        self.phase_steps = self._count_steps()
        self.covered = [validator.covered(terms, learner.sources) for terms in learner.terms]
        learner.to(machine.device)
        self.optimiser = self._fresh_optimiser()

    @property
    def total_steps(self) -> int:
        """Updates over all phases."""
        return sum(self.phase_steps)

    def resume(self, folder: Path) -> bool:
        """Take up the newest readable checkpoint in ``folder``; False if there is none."""
        found = ckpt.load_latest(folder)
        if found is None:
            return False
        self.learner.load_state_dict(found.weights)
        ckpt.restore_moments(self.optimiser, found.moments)
        self.snapshots = [
            {name: value.to(self.machine.device) for name, value in snapshot.items()}
            for snapshot in found.snapshots
        ]
        self.position = found.position
        if found.position.scaler:
            self.machine.precision.scaler.load_state_dict(found.position.scaler)
        threads = torch.get_num_threads()
        if threads != self.position.threads:
            print(
                f"asrkd: {folder}: was begun with {self.position.threads} threads, goes on with {threads}: "
                f"the last bits will differ; --threads {self.position.threads} repeats them",
                file=sys.stderr,
            )
        return True

    def run(self, out: Path, stop: StopRequest) -> dict[str, Any]:
        """Train to the end; leave checkpoints and metrics in ``out``.

        Returns:
            The last validation.

        Raises:
            StoppedInTime: asked to stop; everything is saved.
        """
        self._started_at = time.monotonic() - self.position.train_seconds
        with MetricLog(out, self.position.step) as log, self._meter(out.name) as shown:
            if self.position.step == 0:
                self._validate(log)  # a fault on the dev side shows now, not after the first hour
            for report in self._updates():
                faults.strike("step")
                self._after_update(report, log, shown)
                due, reason = self._is_due(self.config.validation.every_steps), stop.reason()
                if due:
                    self._validate(log)
                if due or reason:
                    self._save(out)
                if reason:
                    saved = f"{out}: checkpoint of step {self.position.step} written"
                    raise stopped(reason, saved, "run it with --resume")
            log.write("end", self.position.step, {"train_seconds": self._elapsed()})
        return self.position.validation

    def average(self) -> dict[str, torch.Tensor]:
        """The learner's weights averaged over the last snapshots; the latest ones before the first."""
        return mean_weights(self.snapshots or [self.learner.snapshot()])

    def _updates(self) -> Iterator[UpdateReport]:
        """Make the updates that are left, yielding after each with the position advanced."""
        position = self.position
        update = self._update_of_phase()
        while position.phase < len(self.phase_steps):
            if position.phase_step >= self.phase_steps[position.phase]:
                self._next_phase()
                update = self._update_of_phase()
                continue
            for batches in self._groups():
                rate = learning_rate(*self._schedule(), self.config.optim)
                report = update(self.optimiser, batches, rate, position.step)
                position.batch += len(batches)
                position.step += 1
                position.phase_step += 1
                yield report
                if position.phase_step >= self.phase_steps[position.phase]:
                    break

    def _update_of_phase(self) -> Update:
        """What makes updates under the terms of the phase, over all its epochs."""
        terms = self.learner.terms[min(self.position.phase, len(self.phase_steps) - 1)]
        return Update(self.learner, terms, self.config, self.machine.precision)

    def _groups(self) -> Iterator[list[Batch]]:
        """What is left of the epoch, in groups that make an update each; at its end begins the next."""
        position = self.position
        plan = self._plan(position.epoch)
        if position.batch and plan.digest != position.plan_digest:
            raise AsrkdError(
                f"epoch {position.epoch}: its plan differs from the checkpoint's; was lhotse updated? "
                "Start anew in another --out"
            )
        position.plan_digest = plan.digest
        terms = self.learner.terms[position.phase]
        sources = {term.label: self.learner.sources[term.label] for term in terms}
        reader = BatchReader(self.cuts, sources, self.augmentation, position.epoch)
        batches = load_batches(reader, plan, start=position.batch, workers=self.machine.workers)
        while group := list(islice(batches, self.config.optim.accumulate)):
            yield [batch.to(self.machine.device) for batch in group]
        position.epoch, position.batch = position.epoch + 1, 0

    def _next_phase(self) -> None:
        self.position.phase += 1
        self.position.phase_step = 0
        if self.position.phase < len(self.phase_steps) and self.config.phases[self.position.phase].restart:
            self.optimiser = self._fresh_optimiser()

    def _schedule(self) -> tuple[int, int]:
        """(step, total) of the schedule in force: of this phase and those it goes on from."""
        first = last = self.position.phase
        while first > 0 and not self.config.phases[first].restart:
            first -= 1
        while last + 1 < len(self.phase_steps) and not self.config.phases[last + 1].restart:
            last += 1
        done = sum(self.phase_steps[first : self.position.phase])
        return done + self.position.phase_step, sum(self.phase_steps[first : last + 1])

    def _after_update(self, report: UpdateReport, log: MetricLog, shown: Meter) -> None:
        step = self.position.step
        if self._is_due(self.config.averaging.every_steps):
            self.snapshots = [*self.snapshots, self.learner.snapshot()][-self.config.averaging.last :]
        if self._is_due(LOG_EVERY_STEPS):
            place = {"epoch": self.position.epoch, "seconds": self._elapsed()}
            log.write("train", step, report.values() | place)
        shown.advance(audio_s=report.audio_s, note=f"loss {report.loss:.3f}")

    def _validate(self, log: MetricLog) -> None:
        """Validate the averaged weights; the learner's own come back afterwards."""
        own = self.learner.snapshot()
        self.learner.load_state_dict(self.average())
        phase = min(self.position.phase, len(self.covered) - 1)
        terms, machine = self.covered[phase], self.machine
        values = self.validator(self.learner, terms, machine.precision, machine.device)
        self.learner.load_state_dict(own)
        best = self.position.best_wer
        self.position.best_wer = values["wer"] if best is None else min(best, values["wer"])
        self.position.validation = values
        log.write("validation", self.position.step, values | {"best_wer": self.position.best_wer})

    def _save(self, out: Path) -> None:
        self.position.train_seconds = self._elapsed()
        self.position.scaler = self.machine.precision.scaler.state_dict()
        moments = ckpt.optimiser_moments(self.optimiser)
        ckpt.save_checkpoint(
            out / "checkpoints",
            ckpt.Checkpoint(self.position, self.learner.snapshot(), moments, self.snapshots),
        )

    def _is_due(self, every_steps: int) -> bool:
        """Whether something done every so many steps, and at the end, is due now."""
        return self.position.step % every_steps == 0 or self.position.step == self.total_steps

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._started_at, 3)

    def _meter(self, name: str) -> AbstractContextManager[Meter]:
        return meter(f"train {name}", self.total_steps, "steps", done=self.position.step)

    def _fresh_optimiser(self) -> torch.optim.AdamW:
        return make_optimiser(dict(self.learner.named_parameters()), self.config.optim)

    def _plan(self, epoch: int) -> EpochPlan:
        data = self.config.data
        return plan_epoch(
            list(self.cuts.values()),
            seed=self.config.seed,
            epoch=epoch,
            max_duration=data.max_duration,
            num_buckets=data.num_buckets,
        )

    def _count_steps(self) -> list[int]:
        """Updates of each phase; an epoch counts as many as its first plan makes."""
        per_epoch = 0
        if any(phase.epochs for phase in self.config.phases):
            per_epoch = -(-len(self._plan(0).batches) // self.config.optim.accumulate)
        return [phase.steps or max(1, round((phase.epochs or 0) * per_epoch)) for phase in self.config.phases]
