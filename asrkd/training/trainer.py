"""The training loop: phases of updates, with validation, snapshots and checkpoints between them.

Of several processes all make the updates; the first alone validates, keeps
snapshots, writes and speaks, and the others wait for it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from asrkd.core import faults
from asrkd.core.errors import warn
from asrkd.core.progress import Meter, meter
from asrkd.core.shell import command
from asrkd.core.stopping import StopRequest, stopped
from asrkd.training import checkpoint as ckpt
from asrkd.training.config import TrainConfig
from asrkd.training.dev_targets import DevTargets
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner, mean_weights
from asrkd.training.loader import Item
from asrkd.training.metrics import MetricLog
from asrkd.training.schedule import PhaseSchedule, learning_rate, make_optimizer
from asrkd.training.update import Update, UpdateReport
from asrkd.training.update_batches import UpdatePlan
from asrkd.training.validation import TextValidator, Validator

LOG_EVERY_STEPS = 20


class Trainer:
    """Trains a learner by its config, from wherever its last checkpoint left it."""

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        cuts: Sequence[Item],
        validator: Validator | TextValidator,
        machine: Environment,
    ) -> None:
        """Put the parts together; nothing is computed yet but the first epoch's plan."""
        self.config, self.learner, self.validator, self.machine = config, learner, validator, machine
        self.processes = machine.processes
        self.groups = UpdatePlan(config, cuts, machine)
        self.position = ckpt.Position(processes=machine.processes.count)
        self.snapshots: list[dict[str, torch.Tensor]] = []  # of the first process
        self.course = PhaseSchedule(config.phases, self.groups.per_epoch)
        self._dev_targets: dict[int, list[DevTargets]] = {}  # by phase
        learner.to(machine.device)
        self.optimizer = self._fresh_optimizer()

    @property
    def total_steps(self) -> int:
        """Updates over all phases."""
        return self.course.total

    def resume(self, folder: Path) -> bool:
        """Take up the newest readable checkpoint in ``folder``; False if there is none.

        Raises:
            AsrkdError: there are some, and none can be read, here or in another process.
        """
        found = None
        if self.processes.is_first:
            ckpt.clear_unfinished(folder)
            found = ckpt.load_latest(folder)
        step = self.processes.first(lambda: None if found is None else found.position.step)
        if step is None:
            return False
        found = found or ckpt.load_checkpoint(ckpt.checkpoint_path(folder, step))
        self.processes.exchange(None)  # one that cannot read it ends all, here
        self.learner.load_state_dict(found.weights)
        ckpt.restore_moments(self.optimizer, found.moments)
        self.snapshots = [
            {name: value.to(self.machine.device) for name, value in snapshot.items()}
            for snapshot in found.snapshots
            if self.processes.is_first
        ]
        self.position = found.position
        if found.position.scaler:
            self.machine.precision.scaler.load_state_dict(found.position.scaler)
        self._compare_pace(folder)
        return True

    def _compare_pace(self, folder: Path) -> None:
        """Say so where the run goes on with what makes the last bits differ."""
        threads, begun, count = torch.get_num_threads(), self.position, self.processes.count
        changes = []
        if threads != begun.threads:
            changes.append((f"{begun.threads} threads", f"{threads}", f"--threads {begun.threads}"))
        if count != begun.processes:
            again = command("torchrun", "--nproc_per_node", str(begun.processes))
            changes.append((f"{begun.processes} processes", f"{count}", again))
        for before, now, mend in changes:
            warn(
                f"{folder}: was begun with {before}, goes on with {now}: "
                f"the last bits will differ; {mend} repeats them"
            )

    def run(self, out: Path, stop: StopRequest) -> dict[str, Any]:
        """Train to the end; leave checkpoints and metrics in ``out``.

        Returns:
            The last validation.

        Raises:
            StoppedInTime: asked to stop; everything is saved.
            AsrkdError: a cut or a target cannot be read, no gradient is finite, or
                another process ended; the checkpoints that were written stay.
        """
        self._started_at = time.monotonic() - self.position.train_seconds
        self._saved_at = time.monotonic()
        with self._log(out) as log, self._meter(out.name) as shown:
            if self.position.step == 0:
                if log and self.learner.told:
                    log.write("targets", 0, {"told": self.learner.told})
                self._validate(log)  # a fault on the dev side shows now, not after the first hour
            for own in self._updates():
                faults.strike("step")
                reports, reasons = zip(*self.processes.exchange((own, stop.reason())), strict=True)
                reason = next(filter(None, reasons), None)  # that any process was given stops all
                self._after_update(UpdateReport.of_all(reports), log, shown)
                due = self._is_due(self.config.validation.every_steps)
                if due:
                    self._validate(log)
                if due or reason or self._checkpoint_is_due():
                    self._save(out)
                if reason:
                    saved = f"{out}: checkpoint of step {self.position.step} written"
                    raise stopped(reason, saved, "run it with --resume")
            if log:
                log.write("end", self.position.step, {"train_seconds": self._elapsed()})
        return self.position.validation

    def average(self) -> dict[str, torch.Tensor]:
        """The mean of the learner's last snapshots, (...) by name; before the first, its weights."""
        return mean_weights(self.snapshots or [self.learner.snapshot()])

    def _updates(self) -> Iterator[UpdateReport]:
        """Make the updates that are left, yielding after each with the position advanced."""
        position = self.position
        update = Update(self.processes.distribute(self.learner), self.learner, self.config, self.machine)
        while position.phase < len(self.course.steps):
            if position.phase_step >= self.course.steps[position.phase]:
                self._next_phase()
                continue
            terms = self.learner.terms[position.phase]
            sources = {term.label: self.learner.sources[term.label] for term in terms}
            for group in self.groups.rest_of_epoch(position, sources):
                rate = self._learning_rate()
                report = update(self.optimizer, group, terms, rate, position.step)
                position.batch += group.size
                position.step += 1
                position.phase_step += 1
                yield report
                if position.phase_step >= self.course.steps[position.phase]:
                    break
            else:
                position.epoch, position.batch = position.epoch + 1, 0

    def _next_phase(self) -> None:
        self.position.phase += 1
        self.position.phase_step = 0
        if self.position.phase < len(self.course.steps) and self.config.phases[self.position.phase].restart:
            self.optimizer = self._fresh_optimizer()

    def _learning_rate(self) -> float:
        """Of the next update."""
        here, optim = (self.position.phase, self.position.phase_step), self.config.optim
        epochs = self.course.epochs(*here) if optim.schedule == "exponential" else 0
        return learning_rate(*self.course.place(*here), optim, epochs)

    def _after_update(self, report: UpdateReport, log: MetricLog | None, shown: Meter) -> None:
        step = self.position.step
        if self._is_due(self.config.averaging.every_steps) and self.processes.is_first:
            self.snapshots = [*self.snapshots, self.learner.snapshot()][-self.config.averaging.last :]
        if self._is_due(LOG_EVERY_STEPS) and log:
            place = {"epoch": self.position.epoch, "seconds": self._elapsed()}
            log.write("train", step, report.values() | place)
        shown.advance(audio_s=report.audio_s, note=f"loss {report.loss:.3f}")

    def _validate(self, log: MetricLog | None) -> None:
        """Validate in the first process: the others wait, and are told."""
        values = self.processes.first(self._validation)
        self.position.validation = values
        best = self.position.best_wer
        if "wer" in values:
            best = self.position.best_wer = values["wer"] if best is None else min(best, values["wer"])
        if log:
            log.write("validation", self.position.step, values | ({} if best is None else {"best_wer": best}))

    def _validation(self) -> dict[str, Any]:
        """How the averaged weights do; the learner's own come back afterwards."""
        own = self.learner.snapshot()
        self.learner.load_state_dict(self.average())
        phase, machine = min(self.position.phase, len(self.course.steps) - 1), self.machine
        if phase not in self._dev_targets:
            self._dev_targets[phase] = self.validator.dev_targets(
                self.learner.terms[phase], self.learner.sources
            )
        terms = self._dev_targets[phase]
        values = self.validator(self.learner, terms, machine.precision, machine.device)
        self.learner.load_state_dict(own)
        return values

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.machine.checkpoint_every_s

    def _save(self, out: Path) -> None:
        self._saved_at = time.monotonic()
        if not self.processes.is_first:
            return
        self.position.train_seconds = self._elapsed()
        self.position.scaler = self.machine.precision.scaler.state_dict()
        moments = ckpt.optimizer_moments(self.optimizer)
        ckpt.save_checkpoint(
            out / "checkpoints",
            ckpt.Checkpoint(self.position, self.learner.snapshot(), moments, self.snapshots),
        )

    def _is_due(self, every_steps: int) -> bool:
        """Whether something done every so many steps, and at the end, is due now."""
        return self.position.step % every_steps == 0 or self.position.step == self.total_steps

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._started_at, 3)

    def _log(self, out: Path) -> AbstractContextManager[MetricLog | None]:
        """The log, cut back to the checkpoint that was taken up; None in processes that write nothing."""
        return MetricLog(out, self.position.step or None) if self.processes.is_first else nullcontext()

    def _meter(self, name: str) -> AbstractContextManager[Meter]:
        return meter(f"train {name}", self.total_steps, "steps", done=self.position.step)

    def _fresh_optimizer(self) -> torch.optim.AdamW:
        return make_optimizer(dict(self.learner.named_parameters()), self.config.optim)
