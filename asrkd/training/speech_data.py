"""Cuts with features as what a recognizer learns from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError, warn
from asrkd.core.randomness import seeded
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import cuts_digest, texts_digest
from asrkd.data.features.noise import verify_noise
from asrkd.data.features.reading import feature_config, load_features
from asrkd.data.tokens import Tokens
from asrkd.models.config import LanguageModelConfig, RecognizerArchitecture, recognizer_architecture
from asrkd.models.layers import global_statistics
from asrkd.models.recognizer import Recognizer, Student
from asrkd.scoring.units import find_unit
from asrkd.targets.sources.live import LiveTargets, live_identities
from asrkd.training.config import TrainConfig
from asrkd.training.data_config import DataConfig
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner
from asrkd.training.trainer import Trainer
from asrkd.training.validation import Validator

STATISTICS_CUTS = 500  # enough frames to place 80 mel bands within a hundredth of their spread


@dataclass(frozen=True)
class SpeechData:
    """Cuts to learn from and to validate on."""

    experiment: TrainConfig
    tokens: Tokens
    train_cuts: PackedCuts
    dev_cuts: PackedCuts
    architecture: RecognizerArchitecture

    @classmethod
    def gather(cls, experiment: TrainConfig, data: DataConfig, tokens: Tokens) -> "SpeechData":
        """Read the cuts; AsrkdError at the first thing that is wrong."""
        train_cuts, dev_cuts = read_cuts(data.train), read_cuts(data.dev)
        train_cuts = _without_fold(train_cuts, data)
        usable = train_cuts.where(lambda cut: data.min_cut <= cut.duration <= data.max_cut)
        if left_out := len(train_cuts) - len(usable):
            bounds = f"shorter than {data.min_cut:g} s or longer than {data.max_cut:g} s"
            warn(f"{data.train}: {left_out} cuts left out, {bounds}")
        if not usable:
            raise AsrkdError(f"{data.train}: no cut between data.min_cut and data.max_cut")
        features = feature_config(usable, str(data.train))
        if feature_config(dev_cuts, str(data.dev)) != features:
            raise AsrkdError(
                f"{data.dev}: its features differ from those of {data.train}; prepare both alike"
            )
        if experiment.augment.noise is not None:
            verify_noise(experiment.augment.noise, features)
        assert not isinstance(experiment.model, LanguageModelConfig)  # the config sees to it
        architecture = recognizer_architecture(experiment.model, features, tokens.size)
        return cls(experiment, tokens, usable, dev_cuts, architecture)

    def lineage(self) -> dict[str, Any]:
        """Digests of cuts, transcripts, noise and stores; what the features are."""
        noise = self.experiment.augment.noise
        entries = [entry for phase in self.experiment.phases for entry in phase.objectives]
        targets = [getattr(entry.settings, "targets", "") for entry in entries]
        live = [own for own in targets if isinstance(own, LiveTargets)]
        paths = {own for own in targets if isinstance(own, str)}
        contracts = {path: Path(path) / CONTRACT for path in sorted(paths)}
        return {
            "features": self.architecture.features.model_dump(mode="json"),
            "train_cuts": cuts_digest(self.train_cuts),
            "train_texts": texts_digest(self.train_cuts),
            "dev_cuts": cuts_digest(self.dev_cuts),
            "dev_texts": texts_digest(self.dev_cuts),
            "noise_cuts": None if noise is None else cuts_digest(read_cuts(noise.cuts)),
            "target_stores": {
                p: files.sha256(contract) for p, contract in contracts.items() if contract.is_file()
            },
            **({"live_targets": live_identities(live)} if live else {}),
        }

    def trainer(self, learner: Learner, machine: Environment) -> Trainer:
        """What trains ``learner`` on the cuts that it has targets for; AsrkdError unless they fit."""
        cuts = learner.verify(self.train_cuts)
        asked = self.experiment.validation
        validator = Validator(self.dev_cuts, self.tokens, asked.max_duration, find_unit(asked.unit))
        if isinstance(learner.student, Recognizer) and learner.student.has_ctc:
            learner.tell(validator.dropped.lines("CTC loss of dev"))
        return Trainer(self.experiment, learner, cuts, validator, machine)

    def begin(self, student: Student) -> None:
        """Give the front end the mean and spread of the training features."""
        assert isinstance(student, Recognizer)
        with seeded(self.experiment.seed, "statistics") as rng:
            rows = rng.sample(range(len(self.train_cuts)), min(STATISTICS_CUTS, len(self.train_cuts)))
        mean, std = global_statistics([load_features(self.train_cuts[row]) for row in rows])
        student.encoder.front_end.set_statistics(mean, std)


def _without_fold(cuts: PackedCuts, data: DataConfig) -> PackedCuts:
    """The cuts but for those of the fold that is left out, of which a line on stderr is told."""
    folds = data.folds
    if folds is None:
        return cuts
    kept = cuts.where(lambda record: not folds.leaves_out(record))
    hours = sum(record.duration for record in kept.records) / 3600
    warn(
        f"{data.train}: fold {folds.left_out} of {folds.count} by {folds.by} left out, {len(kept)} of "
        f"{len(cuts)} cuts ({hours:.3f} h) remain"
    )
    if not kept:
        raise AsrkdError(f"{data.train}: all cuts are in the fold that is left out; give folds by: cut")
    return kept
