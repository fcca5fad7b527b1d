"""Stage ``train``: teachers, baselines and students alike; the objectives in the config decide.

Reads:   a config, the cuts and tokens it names, and for a student its target stores.
Writes:  a model folder (config, tokens, lineage, weights), checkpoints, metrics.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from asrkd import __version__, config, files, outputs
from asrkd.cut_records import cuts_digest, texts_digest
from asrkd.errors import AsrkdError
from asrkd.features.reading import feature_config, load_features
from asrkd.manifests import read_cuts
from asrkd.models.config import RecogniserArchitecture, recogniser_architecture
from asrkd.models.conformer import global_statistics
from asrkd.models.directory import save_model
from asrkd.models.recogniser import Recogniser, num_parameters
from asrkd.outputs import State
from asrkd.packed_cuts import PackedCuts
from asrkd.stopping import StopRequest
from asrkd.targets.live import LiveTargets, live_identities
from asrkd.tokens import Tokens
from asrkd.training.augment import verify_noise
from asrkd.training.checkpoint import list_checkpoints
from asrkd.training.config import TrainConfig
from asrkd.training.joining import joined
from asrkd.training.learner import Learner
from asrkd.training.machine import Machine
from asrkd.training.precision import Precision
from asrkd.training.processes import Processes
from asrkd.training.randomness import seeded
from asrkd.training.trainer import Trainer
from asrkd.training.validation import Validator

LINEAGE = "lineage.json"
STATISTICS_CUTS = 500  # enough frames to place 80 mel bands within a hundredth of their spread


@dataclass(frozen=True)
class TrainOptions:
    """The machine and the manner of a run."""

    device: str = "auto"
    precision: str = "fp32"
    workers: int = 0
    threads: int | None = None
    resume: bool = False
    checkpoint_every_s: float = 600.0

    def machine(self, processes: Processes) -> Machine:
        """The machine they describe, for one of ``processes``; AsrkdError if it is not there."""
        self.check()
        if self.threads:
            torch.set_num_threads(self.threads)
        device = processes.device(self.device)
        precision = Precision(self.precision, device)
        return Machine(device, precision, self.workers, self.checkpoint_every_s, processes)

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
        wer = f"dev WER {self.validation['wer']:.2%}, loss {self.validation['loss']:.3f}"
        return f"{self.out}: {done}, {self.params} parameters, {wer}"


def train(
    config_path: Path, out: Path, overrides: Sequence[str], options: TrainOptions, stop: StopRequest
) -> TrainReport:
    """Train by ``config_path`` with ``overrides`` into ``out``; return how it went.

    Where the environment names several processes (torchrun, srun) this is one of them.

    Raises:
        AsrkdError: something the user can mend; nothing was changed.
        StoppedInTime: asked to stop; run again with ``resume``.
    """
    with joined() as processes:
        experiment = config.load(TrainConfig, config_path, overrides)
        machine = options.machine(processes)
        processes.check_shares(experiment.optim.accumulate, experiment.data.max_duration)
        parts = _Parts.gather(experiment)
        processes.agree(parts.lineage, "config, cuts, tokens or stores")
        report = processes.first(lambda: _complete(out, parts, options))
        report = report or _train(out, parts, machine, stop)
        return replace(report, rank=processes.rank)


def _train(out: Path, parts: "_Parts", machine: Machine, stop: StopRequest) -> TrainReport:
    """Train what is left of the run in ``out``."""
    processes = machine.processes
    trainer = parts.trainer(machine)
    processes.first(lambda: outputs.claim(out, LINEAGE, parts.lineage))
    if not trainer.resume(out / "checkpoints"):
        parts.set_statistics(trainer.learner.student)
    last = trainer.run(out, stop)
    return processes.first(lambda: _finish(out, parts, trainer, last))


@dataclass(frozen=True)
class _Parts:
    """What an experiment is made from, read and verified."""

    experiment: TrainConfig
    tokens: Tokens
    train_cuts: PackedCuts
    dev_cuts: PackedCuts
    architecture: RecogniserArchitecture

    @classmethod
    def gather(cls, experiment: TrainConfig) -> "_Parts":
        """Read what the experiment names; AsrkdError at the first thing that is wrong."""
        data = experiment.data
        tokens = Tokens.load(data.tokens)
        train_cuts, dev_cuts = read_cuts(data.train), read_cuts(data.dev)
        usable = train_cuts.where(lambda cut: data.min_cut <= cut.duration <= data.max_cut)
        if left_out := len(train_cuts) - len(usable):
            bounds = f"shorter than {data.min_cut:g} s or longer than {data.max_cut:g} s"
            print(f"asrkd: {data.train}: {left_out} cuts left out, {bounds}", file=sys.stderr)
        if not usable:
            raise AsrkdError(f"{data.train}: no cut between data.min_cut and data.max_cut")
        features = feature_config(usable, str(data.train))
        if feature_config(dev_cuts, str(data.dev)) != features:
            raise AsrkdError(
                f"{data.dev}: its features differ from those of {data.train}; prepare both alike"
            )
        verify_noise(experiment.augment, features)
        architecture = recogniser_architecture(experiment.model, features, tokens.size)
        return cls(experiment, tokens, usable, dev_cuts, architecture)

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What decides the result: the config, the cuts, the tokens, the stores."""
        noise = self.experiment.augment.noise
        entries = [entry for phase in self.experiment.phases for entry in phase.objectives]
        targets = [getattr(entry.settings, "targets", "") for entry in entries]
        live = [own for own in targets if isinstance(own, LiveTargets)]
        paths = {own for own in targets if isinstance(own, str)}
        contracts = {path: Path(path) / "contract.json" for path in sorted(paths)}
        return {
            "asrkd": __version__,
            "torch": torch.__version__,
            "experiment": self.experiment.model_dump(mode="json", exclude_unset=False),
            "features": self.architecture.features.model_dump(mode="json"),
            "train_cuts": cuts_digest(self.train_cuts),
            "train_texts": texts_digest(self.train_cuts),
            "dev_cuts": cuts_digest(self.dev_cuts),
            "dev_texts": texts_digest(self.dev_cuts),
            "noise_cuts": None if noise is None else cuts_digest(read_cuts(noise.cuts)),
            "tokens": self.tokens.identity(),
            "target_stores": {
                p: files.sha256(contract) for p, contract in contracts.items() if contract.is_file()
            },
            **({"live_targets": live_identities(live)} if live else {}),
        }

    def trainer(self, machine: Machine) -> Trainer:
        """Build the student and its objectives, and verify every target before the first step."""
        seed = self.experiment.seed
        with seeded(seed, "weights"):
            student = Recogniser(self.architecture)
            learner = Learner(student, self.experiment.phases, self.tokens)
        cuts = learner.verify(self.train_cuts)
        validator = Validator(self.dev_cuts, self.tokens, self.experiment.validation.max_duration)
        return Trainer(self.experiment, learner, cuts, validator, machine)

    def set_statistics(self, student: Recogniser) -> None:
        """Give the front end the mean and spread of the training features."""
        with seeded(self.experiment.seed, "statistics") as rng:
            rows = rng.sample(range(len(self.train_cuts)), min(STATISTICS_CUTS, len(self.train_cuts)))
        mean, std = global_statistics([load_features(self.train_cuts[row]) for row in rows])
        student.encoder.front_end.set_statistics(mean, std)


def _complete(out: Path, parts: _Parts, options: TrainOptions) -> TrainReport | None:
    """The report of a run that is complete; None if there is something to do, and it may be done."""
    state = outputs.survey(out, LINEAGE, parts.lineage)
    if state is State.COMPLETE:
        summary = outputs.read_stamp(out, "asrkd train", ["params", "steps", "validation"])
        return TrainReport(out, summary["params"], summary["steps"], summary["validation"], True)
    if state is State.PARTIAL and not options.resume and list_checkpoints(out / "checkpoints"):
        raise AsrkdError(f"{out}: holds an unfinished run; go on with --resume, or remove it: rm -r {out}")
    return None


def _finish(out: Path, parts: _Parts, trainer: Trainer, last: dict[str, Any]) -> TrainReport:
    """Export the averaged student and stamp the folder."""
    prefix = "student."
    weights = {k[len(prefix) :]: v for k, v in trainer.average().items() if k.startswith(prefix)}
    save_model(out, parts.architecture, weights, parts.tokens, parts.lineage["experiment"])
    params = num_parameters(trainer.learner.student)
    summary = {"params": params, "steps": trainer.total_steps, "validation": last}
    outputs.stamp(out, summary)
    return TrainReport(out, params, trainer.total_steps, last)
