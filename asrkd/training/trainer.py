"""Training loop: phases of updates, with validation, snapshots and checkpoints between them.

All processes of a run compute the updates; the first alone validates, keeps
snapshots, writes and prints, and the others wait for it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from asrkd.core import faults
from asrkd.core.errors import StoppedInTime, warn
from asrkd.core.progress import Meter, meter
from asrkd.core.shell import command
from asrkd.core.stopping import StopRequest, stopped
from asrkd.training import checkpoint as ckpt
from asrkd.training.config import OptimConfig, TrainConfig
from asrkd.training.dev_targets import DevTargets
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner
from asrkd.training.loader import Item
from asrkd.training.metrics import MetricLog
from asrkd.training.plateau import REMEDIES, PlateauWatch
from asrkd.training.schedule import PhaseSchedule, learning_rate, make_optimizer
from asrkd.training.update import Update, UpdateReport
from asrkd.training.update_batches import UpdatePlan
from asrkd.training.validation import TextValidator, Validator

LOG_EVERY_STEPS = 20


class Trainer:
    """Trainer of a learner by its config, from its last checkpoint on."""

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        cuts: Sequence[Item],
        validator: Validator | TextValidator,
        environment: Environment,
    ) -> None:
        """Create the optimizer and the plan of a run, and move the learner to the device.

        Args:
            config: the run's settings.
            learner: student and objectives.
            cuts: training cuts or sentences, for which ``learner`` has targets.
            validator: the validator on the dev set.
            environment: device, precision and processes of the run, as seen by this process.

        Raises:
            AsrkdError: the noise of the augmentation cannot be used.
        """
        self.config, self.learner, self.validator, self.environment = config, learner, validator, environment
        self.processes = environment.processes
        self.batches = UpdatePlan(config, cuts, environment)
        self.position = ckpt.Position(processes=environment.processes.count)
        self.snapshots: list[dict[str, torch.Tensor]] = []  # of the first process
        self.schedule = PhaseSchedule(config.phases, self.batches.per_epoch)
        self._dev_targets: dict[int, list[DevTargets]] = {}  # by phase
        unigram = validator.unigram if isinstance(validator, Validator) else 0.0
        self._plateau = PlateauWatch(self.total_steps, unigram, self._longest_warmup())
        learner.to(environment.device)
        self.optimizer = self._new_optimizer()

    @property
    def total_steps(self) -> int:
        """Updates over all phases."""
        return self.schedule.total

    def _longest_warmup(self) -> int:
        """Return the updates of the longest warm-up of all phases."""
        phases = range(len(self.config.phases))
        return max(self.config.optim_of(phase).warmup(self.schedule.place(phase, 0)[1]) for phase in phases)

    @property
    def _optim(self) -> OptimConfig:
        """Settings of the optimizer and schedule at this position, at the end those of the last phase."""
        return self.config.optim_of(min(self.position.phase, len(self.config.phases) - 1))

    def resume(self, folder: Path) -> bool:
        """Resume from the newest readable checkpoint in ``folder``; False if there is none.

        Raises:
            AsrkdError: this or another process can read none of the checkpoints.
        """
        checkpoint = None
        if self.processes.is_first:
            ckpt.clear_unfinished(folder)
            checkpoint = ckpt.load_latest(folder)
        step = self.processes.first(lambda: None if checkpoint is None else checkpoint.position.step)
        if step is None:
            return False
        checkpoint = checkpoint or ckpt.load_checkpoint(ckpt.checkpoint_path(folder, step))
        self.processes.exchange(None)  # a process that cannot read it ends all, here
        self.learner.load_state_dict(checkpoint.weights)
        self.snapshots = [
            {name: value.to(self.environment.device) for name, value in snapshot.items()}
            for snapshot in checkpoint.snapshots
            if self.processes.is_first
        ]
        self.position = checkpoint.position
        self.optimizer = self._new_optimizer()  # that of the phase
        ckpt.restore_moments(self.optimizer, checkpoint.moments)
        if checkpoint.position.scaler:
            self.environment.precision.scaler.load_state_dict(checkpoint.position.scaler)
        self._warn_of_changes(folder)
        return True

    def _warn_of_changes(self, folder: Path) -> None:
        """Warn where other numbers of threads or processes make the last bits of the results differ."""
        started, threads, count = self.position, torch.get_num_threads(), self.processes.count
        changes = []
        if threads != started.threads:
            changes.append((f"threads: {threads}", started.threads, f"--threads {started.threads}"))
        if count != started.processes:
            again = command("torchrun", "--nproc_per_node", str(started.processes))
            changes.append((f"processes: {count}", started.processes, again))
        for now, before, remedy in changes:
            warn(
                f"{folder}: resumed with {now} (started with {before}): "
                f"results will not be bit-identical; they are with {remedy}"
            )

    def run(self, out: Path, stop: StopRequest, until_step: int | None = None) -> dict[str, Any]:
        """Train to the end, with checkpoints and metrics in ``out``.

        Args:
            out: model folder.
            stop: request to stop.
            until_step: update after which to save and stop, under the schedule of the whole run;
                None, or the last: the run ends.

        Returns:
            The last validation.

        Raises:
            StoppedInTime: a stop was requested, or ``until_step`` is reached; everything is saved.
            AsrkdError: a cut or a target cannot be read, no gradient is finite, or
                another process ended; earlier checkpoints stay.
        """
        if reason := self._pause(until_step):
            raise self._stopped(out, reason)
        self._started_at = time.monotonic() - self.position.train_seconds
        self._saved_at = time.monotonic()
        with self._log(out) as log, self._meter(out.name) as progress:
            self._plateau.replay(log.kept if log else [])
            if self.position.step == 0:
                if log:
                    self._record_data(log)
                # A fault of the dev set shows now, not after the first hour.
                self._record_validation(self.processes.first(self._validate), log)
            for share in self._updates():
                faults.strike("step")
                reports, reasons = zip(*self.processes.exchange((share, stop.reason())), strict=True)
                # A stop of any process stops all.
                reason = next(filter(None, reasons), None) or self._pause(until_step)
                self._after_update(UpdateReport.of_all(reports), log, progress)
                due = self._is_due(self.config.validation.every_steps)
                if due:
                    self._record_validation(self.processes.first(self._validate), log)
                if due or reason or self._checkpoint_is_due():
                    self._save(out)
                if reason:
                    raise self._stopped(out, reason)
            if log:
                log.write("end", self.position.step, {"train_seconds": self._elapsed()})
        return self.position.validation

    def _pause(self, until_step: int | None) -> str | None:
        """Return the reason to stop if ``until_step`` is reached and there are steps left."""
        step = self.position.step
        is_reached = until_step is not None and until_step <= step < self.total_steps
        return f"--until-step {until_step}" if is_reached else None

    def _stopped(self, out: Path, reason: str) -> StoppedInTime:
        saved = f"{out}: checkpoint of step {self.position.step} written"
        return stopped(reason, saved, "run it with --resume")

    def average(self) -> dict[str, torch.Tensor]:
        """Average the learner's last snapshots, (...) by name; before the first, return its weights."""
        return ckpt.mean_weights(self.snapshots or [self.learner.snapshot()])

    def _updates(self) -> Iterator[UpdateReport]:
        """Make the updates that are left, and yield this process's report of each, the position advanced."""
        position = self.position
        update = Update(self.processes.distribute(self.learner), self.learner, self.config, self.environment)
        while position.phase < len(self.schedule.steps):
            if position.phase_step >= self.schedule.steps[position.phase]:
                self._next_phase()
                continue
            terms = self.learner.terms[position.phase]
            sources = {term.label: self.learner.sources[term.label] for term in terms}
            for batches in self.batches.rest_of_epoch(position, sources):
                rate = self._learning_rate()
                report = update(self.optimizer, batches, terms, rate, position.step, self._optim.clip_norm)
                position.batch += batches.size
                position.step += 1
                position.phase_step += 1
                yield report
                if position.phase_step >= self.schedule.steps[position.phase]:
                    break
            else:
                position.epoch, position.batch = position.epoch + 1, 0

    def _next_phase(self) -> None:
        self.position.phase += 1
        self.position.phase_step = 0
        if self.position.phase < len(self.schedule.steps) and self.config.phases[self.position.phase].restart:
            self.optimizer = self._new_optimizer()

    def _learning_rate(self) -> float:
        """Compute the learning rate of the next update."""
        here, optim = (self.position.phase, self.position.phase_step), self._optim
        epochs = self.schedule.epochs(*here) if optim.schedule == "exponential" else 0
        return learning_rate(*self.schedule.place(*here), optim, epochs)

    def _after_update(self, report: UpdateReport, log: MetricLog | None, progress: Meter) -> None:
        step = self.position.step
        if self._is_due(self.config.averaging.every_steps) and self.processes.is_first:
            self.snapshots = [*self.snapshots, self.learner.snapshot()][-self.config.averaging.last :]
        if self._is_due(LOG_EVERY_STEPS) and log:
            place = {"epoch": self.position.epoch, "seconds": self._elapsed()}
            log.write("train", step, report.values() | place)
            self._warn_of_plateau(report.losses, log)
        progress.advance(audio_s=report.audio_s, note=f"loss {report.loss:.3f}")

    def _record_data(self, log: MetricLog) -> None:
        """Log the size of the training data, what was left out of it, and the unigram loss."""
        if isinstance(self.validator, Validator):
            durations = [record.duration for record in self.batches.records]
            size = {"cuts": len(durations), "hours": sum(durations) / 3600}
            log.write("data", 0, size | {"unigram": self.validator.unigram})
        if self.learner.notes:
            log.write("targets", 0, {"notes": self.learner.notes})

    def _warn_of_plateau(self, losses: dict[str, float], log: MetricLog) -> None:
        plateau = self._plateau.observe(self.position.step, losses)
        if plateau is not None:
            place = f"{log.path.parent.name}: step {self.position.step:,}: on CTC's plateau"
            warn(f"{place}: {plateau.text()}; {REMEDIES}")
            log.write("plateau", self.position.step, asdict(plateau))

    def _record_validation(self, values: dict[str, Any], log: MetricLog | None) -> None:
        self.position.validation = values
        best = self.position.best_wer
        if "wer" in values:
            best = self.position.best_wer = values["wer"] if best is None else min(best, values["wer"])
        if log:
            log.write("validation", self.position.step, values | ({} if best is None else {"best_wer": best}))

    def _validate(self) -> dict[str, Any]:
        """Validate the averaged weights; the learner's weights are restored afterwards."""
        weights = self.learner.snapshot()
        self.learner.load_state_dict(self.average())
        phase = min(self.position.phase, len(self.schedule.steps) - 1)
        if phase not in self._dev_targets:
            self._dev_targets[phase] = self.validator.dev_targets(
                self.learner.terms[phase], self.learner.sources
            )
        terms = self._dev_targets[phase]
        environment = self.environment
        values = self.validator(self.learner, terms, environment.precision, environment.device)
        self.learner.load_state_dict(weights)
        return values

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.environment.checkpoint_every_s

    def _save(self, out: Path) -> None:
        self._saved_at = time.monotonic()
        if not self.processes.is_first:
            return
        self.position.train_seconds = self._elapsed()
        self.position.scaler = self.environment.precision.scaler.state_dict()
        moments = ckpt.optimizer_moments(self.optimizer)
        ckpt.save_checkpoint(
            out / "checkpoints",
            ckpt.Checkpoint(self.position, self.learner.snapshot(), moments, self.snapshots),
        )

    def _is_due(self, every_steps: int) -> bool:
        """Whether an action of every ``every_steps`` steps, and of the last, is due now."""
        return self.position.step % every_steps == 0 or self.position.step == self.total_steps

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._started_at, 3)

    def _log(self, out: Path) -> AbstractContextManager[MetricLog | None]:
        """Open the log, cut back to the resumed checkpoint; None in processes that do not write."""
        return MetricLog(out, self.position.step or None) if self.processes.is_first else nullcontext()

    def _meter(self, name: str) -> AbstractContextManager[Meter]:
        return meter(f"train {name}", self.total_steps, "steps", done=self.position.step)

    def _new_optimizer(self) -> torch.optim.AdamW:
        return make_optimizer(dict(self.learner.named_parameters()), self._optim)
