"""Command ``train``: train a teacher, a baseline or a student; the objectives in the config decide which.

Reads:   a config; its cuts (for a language model its text), tokens and, for a student, stores.
Writes:  a model folder (config, tokens, lineage, weights), checkpoints, metrics.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from asrkd import __version__
from asrkd.commands.restored_run import record_of, restored_run
from asrkd.core import config, installed, output_folder
from asrkd.core.artifacts import LINEAGE, STAMP
from asrkd.core.command_record import write_command
from asrkd.core.device import Precision
from asrkd.core.errors import AsrkdError, counted, warn
from asrkd.core.output_folder import State
from asrkd.core.shell import command, remove_folder
from asrkd.core.stopping import StopRequest
from asrkd.data.tokens import Tokens
from asrkd.models.directory import finish_command, is_restored, save_model
from asrkd.models.recognizer import num_parameters
from asrkd.scoring.units import WORD, find_unit
from asrkd.targets.sources.settings import LiveTargets
from asrkd.training.checkpoint import list_checkpoints
from asrkd.training.config import TrainConfig
from asrkd.training.data_config import TextDataConfig
from asrkd.training.distributed import Processes
from asrkd.training.environment import Environment, joined
from asrkd.training.trainer import Trainer
from asrkd.training.training_data import TrainingData, build_learner, read_training_data


@dataclass(frozen=True)
class TrainOptions:
    """Options of a run that do not change the trained model: device, precision, processes, checkpoints.

    ``until_step`` pauses the run there, under the schedule of the whole run.
    """

    device: str = "auto"
    precision: str = "fp32"
    workers: int = 0
    threads: int | None = None
    resume: bool = False
    checkpoint_every_s: float = 600.0
    until_step: int | None = None
    from_record: Path | None = None  # run record to restore a new folder from, instead of training

    def environment(self, processes: Processes) -> Environment:
        """Build the environment of one of ``processes``; AsrkdError if the device is missing."""
        self.check()
        num_cpus = len(os.sched_getaffinity(0))
        if self.workers > num_cpus:
            cpus = counted(num_cpus, "CPU")
            warn(f"--workers {self.workers}: this process has {cpus}, which its loader processes share")
        if self.threads:
            torch.set_num_threads(self.threads)
        device = processes.device(self.device)
        precision = Precision(self.precision, device)
        return Environment(device, precision, self.workers, self.checkpoint_every_s, processes)

    def check(self) -> None:
        """Raise AsrkdError if a number is out of range."""
        if self.threads is not None and self.threads < 1:
            raise AsrkdError(f"--threads {self.threads}: expected 1 or more")
        if self.workers < 0:
            raise AsrkdError(f"--workers {self.workers}: expected 0 or more")
        if self.until_step is not None and self.until_step < 1:
            raise AsrkdError(f"--until-step {self.until_step}: expected 1 or more")


@dataclass(frozen=True)
class TrainReport:
    """Report of a finished run."""

    out: Path
    params: int
    steps: int
    validation: dict[str, Any]
    already_complete: bool = False
    restored_from: Path | None = None  # the run record; None: trained, or complete before
    rank: int = 0  # number of this process

    def text(self) -> str:
        """Format the report as one line."""
        done = "already complete" if self.already_complete else f"{self.steps} steps"
        if self.restored_from is not None:
            done = f"restored from {self.restored_from}, without weights: {done}"
        if "wer" in self.validation:
            rate = find_unit(self.validation.get("unit", WORD.name)).rate
            quality = f"{rate} {self.validation['wer']:.2%}{self._by_set()}"
        else:
            quality = f"perplexity {self.validation['perplexity']:.4g}"
        loss = f"loss {self.validation['loss']:.3f}"
        return f"{self.out}: {done}, {self.params} parameters, dev {quality}, {loss}"

    def _by_set(self) -> str:
        """Format the rates of several dev sets: ' (dev 20.00%, heldout 3.10%)'; '' without them."""
        rates = {key[4:]: rate for key, rate in self.validation.items() if key.startswith("wer_")}
        return f" ({', '.join(f'{name} {rate:.2%}' for name, rate in rates.items())})" if rates else ""


def train(
    config_path: Path, out: Path, overrides: Sequence[str], options: TrainOptions, stop: StopRequest
) -> TrainReport:
    """Train the model of a config, or resume its training.

    Under torchrun or srun this process is one of several, which train one model.

    Args:
        config_path: YAML file of the experiment.
        out: model folder.
        overrides: ``key=value`` settings in place of the config's.
        options: device, precision, processes, checkpoints.
        stop: request to stop.

    Raises:
        AsrkdError: the config, an input or the folder does not fit; checkpoints stay.
        StoppedInTime: a stop was requested, or its step is reached; run again with ``resume``.
    """
    with joined() as processes:
        experiment = config.load(TrainConfig, config_path, overrides)
        restored = processes.first(lambda: _restored(out, experiment, options))
        if restored is not None:
            return replace(restored, rank=processes.rank)
        _refuse_missing(experiment)
        environment = options.environment(processes)
        processes.check_shares(experiment.optim.accumulate, *experiment.data.batch_limit)
        inputs = _Inputs.read(experiment)
        processes.agree(inputs.lineage | {installed.MKL_KEY: None}, "config, cuts, tokens or stores")
        report = processes.first(lambda: _complete(out, inputs, options))
        if report is None:
            trainer = inputs.trainer(environment)
            if processes.first(lambda: not list_checkpoints(out / "checkpoints")):
                inputs.data.initialize(trainer.learner)
            processes.first(lambda: _claim(out, inputs))
            trainer.resume(out / "checkpoints")
            validation = trainer.run(out, stop, options.until_step)
            report = processes.first(lambda: _finish(out, inputs, trainer, validation))
        return replace(report, rank=processes.rank)


def _restored(out: Path, experiment: TrainConfig, options: TrainOptions) -> TrainReport | None:
    """Return the report of a run that is restored from a record; None if the run is to be trained."""
    path = record_of(out, options.from_record)
    if path is None:
        return None
    _refuse_missing(experiment, with_stores=False)
    was_restored = is_restored(out)

    def digests() -> dict[str, Any]:
        tokens = Tokens.load(experiment.data.tokens)
        return {"tokens": tokens.identity()} | read_training_data(experiment, tokens).digests()

    stamp = restored_run(path, out, experiment, digests).stamp
    source = None if was_restored else path
    return TrainReport(out, stamp["params"], stamp["steps"], stamp["validation"], was_restored, source)


def _refuse_missing(experiment: TrainConfig, *, with_stores: bool = True) -> None:
    """Raise AsrkdError if a path of the config does not exist; the message names its key."""
    data = experiment.data
    if isinstance(data, TextDataConfig):
        paths, contents = {"train_text": data.train_text, "dev_text": data.dev_text}, "text"
    else:
        dev = data.dev_manifests
        keys = [f"dev.{row}" for row in range(len(dev))] if isinstance(data.dev, list) else ["dev"]
        paths = {"train": data.train} | dict(zip(keys, dev, strict=True))
        contents = "cuts, which asrkd prepare makes"
    inputs = {f"data.{key}": (path, f"file, expected {contents}") for key, path in paths.items()}
    inputs["data.tokens"] = data.tokens, "folder, expected tokens, which asrkd prepare makes"
    used = [
        getattr(entry.settings, "targets", None) for phase in experiment.phases for entry in phase.objectives
    ]
    for name, store in experiment.stores.items() if with_stores else ():
        if isinstance(store, str) and store in used:
            inputs[f"stores.{name}"] = Path(store), "folder, expected targets, which asrkd distill makes"
    for key, (path, expected) in inputs.items():
        if not path.exists():
            remedy = command("--set", f"{key}=PATH")
            raise AsrkdError(f"{key}: {path}: no such {expected}; set it with {remedy}")


def check(config_path: Path, out: Path, overrides: Sequence[str], options: TrainOptions) -> None:
    """Check a request of :func:`train`: options, config, cuts, tokens, stores, and the folder.

    Live targets are left to the training, as their teachers are not loaded here.

    Raises:
        AsrkdError: a mistake was found.
    """
    options.check()
    experiment = config.load(TrainConfig, config_path, overrides)
    if options.from_record is not None or is_restored(out):
        return  # left to the run: what need not be trained needs no stores
    _refuse_missing(experiment)
    tokens = Tokens.load(experiment.data.tokens)
    data = read_training_data(experiment, tokens)
    known = {"experiment": _recorded(experiment), "tokens": tokens.identity()}
    output_folder.check_settings(out, LINEAGE, known)
    if (out / STAMP).is_file():
        return
    _check_resumed(out, options)
    entries = [entry for phase in experiment.phases for entry in phase.objectives]
    if not any(isinstance(getattr(entry.settings, "targets", None), LiveTargets) for entry in entries):
        data.select(build_learner(experiment, data, tokens))


def count_steps(config_path: Path, overrides: Sequence[str]) -> int:
    """Count the updates of a run; its inputs are read where a phase has its length in epochs.

    Raises:
        AsrkdError: the config or an input does not fit.
    """
    experiment = config.load(TrainConfig, config_path, overrides)
    steps = [phase.steps for phase in experiment.phases]
    if None not in steps:
        return sum(filter(None, steps))
    _refuse_missing(experiment)
    device = TrainOptions("cpu")
    return _Inputs.read(experiment).trainer(device.environment(Processes())).total_steps


def _recorded(experiment: TrainConfig) -> dict[str, Any]:
    """Return a config as the lineage records it."""
    return experiment.model_dump(mode="json", exclude_unset=False)


@dataclass(frozen=True)
class _Inputs:
    """Inputs of an experiment, read and verified."""

    experiment: TrainConfig
    tokens: Tokens
    data: TrainingData

    @classmethod
    def read(cls, experiment: TrainConfig) -> "_Inputs":
        """Read all inputs that a config names; AsrkdError at the first fault."""
        tokens = Tokens.load(experiment.data.tokens)
        return cls(experiment, tokens, read_training_data(experiment, tokens))

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """The lineage: all that decides the weights (config, data, tokens, stores, versions), as JSON."""
        return {
            "asrkd": __version__,
            "torch": torch.__version__,
            "experiment": _recorded(self.experiment),
            "tokens": self.tokens.identity(),
            **installed.mkl_setting(),
        } | self.data.lineage()

    def trainer(self, environment: Environment) -> Trainer:
        """Build the student and its objectives, and verify every target before the first step."""
        learner = build_learner(self.experiment, self.data, self.tokens)
        cuts = self.data.select(learner)
        return Trainer(self.experiment, learner, cuts, self.data.validator(learner), environment)


def _complete(out: Path, inputs: _Inputs, options: TrainOptions) -> TrainReport | None:
    """Return the report of a complete run; None if there are steps left and the folder may be used."""
    lineage = _stored_lineage(out, inputs.lineage)
    state = output_folder.survey(out, LINEAGE, lineage)
    if state is State.PARTIAL and lineage != inputs.lineage:
        difference = output_folder.first_difference(lineage, inputs.lineage)
        warn(f"{out}: {difference}: results will not be bit-identical")
    if state is State.COMPLETE:
        summary = output_folder.read_stamp(out, finish_command(out), ["params", "steps", "validation"])
        return TrainReport(out, summary["params"], summary["steps"], summary["validation"], True)
    if state is State.PARTIAL:
        _check_resumed(out, options)
    return None


def _check_resumed(out: Path, options: TrainOptions) -> None:
    """Raise AsrkdError if the folder of an unfinished run has checkpoints, and ``--resume`` is missing."""
    if not options.resume and list_checkpoints(out / "checkpoints"):
        raise AsrkdError(
            f"{out}: holds an unfinished run; continue with --resume, or remove it: {remove_folder(out)}"
        )


def _claim(out: Path, inputs: _Inputs) -> None:
    """Create the folder, or verify that it belongs to this run."""
    output_folder.claim(out, LINEAGE, _stored_lineage(out, inputs.lineage))
    write_command(out)


def _stored_lineage(out: Path, lineage: dict[str, Any]) -> dict[str, Any]:
    """Return the lineage in ``out`` if it differs in MKL's code path alone, else ``lineage``.

    A requeued job may resume on a node with another vendor's processor.
    """
    stored = output_folder.inspect(out, LINEAGE)
    if isinstance(stored, dict) and stored | {installed.MKL_KEY: None} == lineage | {installed.MKL_KEY: None}:
        return stored
    return lineage


def _finish(out: Path, inputs: _Inputs, trainer: Trainer, validation: dict[str, Any]) -> TrainReport:
    """Export the averaged student and stamp the folder."""
    prefix = "student."
    weights = {k[len(prefix) :]: v for k, v in trainer.average().items() if k.startswith(prefix)}
    save_model(out, inputs.data.architecture, weights, inputs.tokens, inputs.lineage["experiment"])
    params = num_parameters(trainer.learner.student)
    output_folder.stamp(out, {"params": params, "steps": trainer.total_steps, "validation": validation})
    return TrainReport(out, params, trainer.total_steps, validation)
