"""Stage ``train``: teachers, baselines and students alike; the objectives in the config decide.

Reads:   a config, the cuts (for a language model the text) and tokens it names, and for a student its stores.
Writes:  a model folder (config, tokens, lineage, weights), checkpoints, metrics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from asrkd import __version__
from asrkd.core import config, installed, output_folder
from asrkd.core.artifacts import LINEAGE
from asrkd.core.command_record import write_command
from asrkd.core.device import Precision
from asrkd.core.errors import AsrkdError, warn
from asrkd.core.output_folder import State
from asrkd.core.shell import remove_folder
from asrkd.core.stopping import StopRequest
from asrkd.data.tokens import Tokens
from asrkd.models.directory import finish_command, save_model
from asrkd.models.recognizer import num_parameters
from asrkd.scoring.units import WORD, find_unit
from asrkd.training.checkpoint import list_checkpoints
from asrkd.training.config import TrainConfig
from asrkd.training.distributed import Processes
from asrkd.training.environment import Environment, joined
from asrkd.training.trainer import Trainer
from asrkd.training.training_data import TrainingData, build_learner, read_training_data


@dataclass(frozen=True)
class TrainOptions:
    """The machine and the manner of a run."""

    device: str = "auto"
    precision: str = "fp32"
    workers: int = 0
    threads: int | None = None
    resume: bool = False
    checkpoint_every_s: float = 600.0

    def machine(self, processes: Processes) -> Environment:
        """The machine they describe, for one of ``processes``; AsrkdError if it is not there."""
        self.check()
        if self.threads:
            torch.set_num_threads(self.threads)
        device = processes.device(self.device)
        precision = Precision(self.precision, device)
        return Environment(device, precision, self.workers, self.checkpoint_every_s, processes)

    def check(self) -> None:
        """Raise AsrkdError if a number makes no sense."""
        if self.threads is not None and self.threads < 1:
            raise AsrkdError(f"--threads {self.threads}: expected 1 or more")
        if self.workers < 0:
            raise AsrkdError(f"--workers {self.workers}: expected 0 or more")


@dataclass(frozen=True)
class TrainReport:
    """What a run ended with."""

    out: Path
    params: int
    steps: int
    validation: dict[str, Any]
    already_complete: bool = False
    rank: int = 0  # of the process that reports

    def text(self) -> str:
        """A line for a person."""
        done = "already complete" if self.already_complete else f"{self.steps} steps"
        if "wer" in self.validation:
            rate = find_unit(self.validation.get("unit", WORD.name)).rate
            found = f"{rate} {self.validation['wer']:.2%}"
        else:
            found = f"perplexity {self.validation['perplexity']:.4g}"
        loss = f"loss {self.validation['loss']:.3f}"
        return f"{self.out}: {done}, {self.params} parameters, dev {found}, {loss}"


def train(
    config_path: Path, out: Path, overrides: Sequence[str], options: TrainOptions, stop: StopRequest
) -> TrainReport:
    """Train by ``config_path`` with ``overrides`` into ``out``; return how it went.

    Where the environment names several processes (torchrun, srun) this is one of them.

    Raises:
        AsrkdError: something the user can mend; checkpoints that were written before stay.
        StoppedInTime: asked to stop; run again with ``resume``.
    """
    with joined() as processes:
        experiment = config.load(TrainConfig, config_path, overrides)
        machine = options.machine(processes)
        processes.check_shares(experiment.optim.accumulate, *experiment.data.batch_limit)
        parts = _Parts.gather(experiment)
        processes.agree(parts.lineage | {installed.MKL_KEY: None}, "config, cuts, tokens or stores")
        report = processes.first(lambda: _complete(out, parts, options))
        report = report or _train(out, parts, machine, stop)
        return replace(report, rank=processes.rank)


def _train(out: Path, parts: "_Parts", machine: Environment, stop: StopRequest) -> TrainReport:
    """Train what is left of the run in ``out``."""
    processes = machine.processes
    trainer = parts.trainer(machine)
    processes.first(lambda: _claim(out, parts))
    if not trainer.resume(out / "checkpoints"):
        parts.data.initialize(trainer.learner.student)
    last = trainer.run(out, stop)
    return processes.first(lambda: _finish(out, parts, trainer, last))


@dataclass(frozen=True)
class _Parts:
    """What an experiment is made from, read and verified."""

    experiment: TrainConfig
    tokens: Tokens
    data: TrainingData

    @classmethod
    def gather(cls, experiment: TrainConfig) -> "_Parts":
        """Read what the experiment names; AsrkdError at the first thing that is wrong."""
        tokens = Tokens.load(experiment.data.tokens)
        return cls(experiment, tokens, read_training_data(experiment, tokens))

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What decides the result: the config, what it is trained on, the tokens, the stores."""
        return {
            "asrkd": __version__,
            "torch": torch.__version__,
            "experiment": self.experiment.model_dump(mode="json", exclude_unset=False),
            "tokens": self.tokens.identity(),
            **installed.mkl_setting(),
        } | self.data.lineage()

    def trainer(self, machine: Environment) -> Trainer:
        """Build the student and its objectives, and verify every target before the first step."""
        learner = build_learner(self.experiment, self.data, self.tokens)
        cuts = self.data.select(learner)
        return Trainer(self.experiment, learner, cuts, self.data.validator(learner), machine)


def _complete(out: Path, parts: _Parts, options: TrainOptions) -> TrainReport | None:
    """The report of a run that is complete; None if there is something to do, and it may be done."""
    lineage = _as_begun(out, parts.lineage)
    state = output_folder.survey(out, LINEAGE, lineage)
    if state is State.PARTIAL and lineage != parts.lineage:
        difference = output_folder.first_difference(lineage, parts.lineage)
        warn(f"{out}: {difference}: the last bits will differ")
    if state is State.COMPLETE:
        summary = output_folder.read_stamp(out, finish_command(out), ["params", "steps", "validation"])
        return TrainReport(out, summary["params"], summary["steps"], summary["validation"], True)
    if state is State.PARTIAL and not options.resume and list_checkpoints(out / "checkpoints"):
        remedy = f"go on with --resume, or remove it: {remove_folder(out)}"
        raise AsrkdError(f"{out}: holds an unfinished run; {remedy}")
    return None


def _claim(out: Path, parts: _Parts) -> None:
    """Make the folder, or find it to be this run's."""
    output_folder.claim(out, LINEAGE, _as_begun(out, parts.lineage))
    write_command(out)


def _as_begun(out: Path, lineage: dict[str, Any]) -> dict[str, Any]:
    """The lineage that the run in ``out`` was begun with, if this one differs by the code of MKL alone.

    A cluster may have processors of several vendors, and a job that is queued again go on at another one.
    """
    found = output_folder.inspect(out, LINEAGE)
    alike = isinstance(found, dict) and found | {installed.MKL_KEY: None} == lineage | {
        installed.MKL_KEY: None
    }
    return found if alike and found is not None else lineage


def _finish(out: Path, parts: _Parts, trainer: Trainer, last: dict[str, Any]) -> TrainReport:
    """Export the averaged student and stamp the folder."""
    prefix = "student."
    weights = {k[len(prefix) :]: v for k, v in trainer.average().items() if k.startswith(prefix)}
    save_model(out, parts.data.architecture, weights, parts.tokens, parts.lineage["experiment"])
    params = num_parameters(trainer.learner.student)
    summary = {"params": params, "steps": trainer.total_steps, "validation": last}
    output_folder.stamp(out, summary)
    return TrainReport(out, params, trainer.total_steps, last)
