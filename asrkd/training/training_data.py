"""Training data of a run, read and checked: cuts for a recognizer, sentences for a language model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from asrkd.core import files
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError, counted, warn
from asrkd.core.randomness import evenly_spaced, seeded
from asrkd.core.shell import command
from asrkd.data.cuts.manifests import pool_cuts, read_cuts, set_name
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import cuts_digest, texts_digest
from asrkd.data.cuts.shared_recordings import utterance_of
from asrkd.data.features.noise import verify_noise
from asrkd.data.features.reading import feature_config, load_features
from asrkd.data.tokens import Tokens
from asrkd.models.config import (
    AnyArchitecture,
    LanguageModelArchitecture,
    LanguageModelConfig,
    RecognizerArchitecture,
    recognizer_architecture,
)
from asrkd.models.layers import global_statistics
from asrkd.models.recognizer import Recognizer, build_model
from asrkd.scoring.units import find_unit
from asrkd.targets.sources.live import live_identities
from asrkd.targets.sources.settings import LiveTargets
from asrkd.targets.sources.text import Sentences, read_sentences
from asrkd.training.config import TrainConfig
from asrkd.training.data_config import DataConfig, TextDataConfig
from asrkd.training.learner import Learner
from asrkd.training.loader import Item
from asrkd.training.validation import TextValidator, Validator

MEASURED_CUTS = 64  # evenly spaced, so that all seeds measure the same
STATISTICS_CUTS = 500  # enough frames to place 80 mel bands within a hundredth of their spread


class TrainingData(Protocol):
    """Cuts or sentences to train and to validate on."""

    @property
    def architecture(self) -> AnyArchitecture:
        """Architecture of the model that fits the data."""

    def lineage(self) -> dict[str, Any]:
        """Return the digests of all data that is read, for the lineage of the run."""

    def digests(self) -> dict[str, Any]:
        """Return the lineage without live targets, whose teachers are not loaded."""

    def select(self, learner: Learner) -> Sequence[Item]:
        """Return the cuts or sentences that ``learner`` has targets for; AsrkdError unless they fit."""

    def validator(self, learner: Learner) -> Validator | TextValidator:
        """Build the validator; the cuts that it leaves out are added to the notes of ``learner``."""

    def initialize(self, learner: Learner) -> None:
        """Set the values of a new learner that are computed from the data, not trained.

        Raises:
            AsrkdError: features or targets cannot be read, or there is nothing to learn from targets.
        """


def read_training_data(experiment: TrainConfig, tokens: Tokens) -> TrainingData:
    """Read the data that the experiment names; AsrkdError at the first error."""
    if isinstance(experiment.data, TextDataConfig):
        return TextData.read(experiment, experiment.data, tokens)
    return SpeechData.read(experiment, experiment.data, tokens)


def build_learner(experiment: TrainConfig, data: TrainingData, tokens: Tokens) -> Learner:
    """Build the student with its objectives; initial weights are a function of the seed alone."""
    with seeded(experiment.seed, "weights"):
        return Learner(build_model(data.architecture), experiment.phases, tokens)


@dataclass(frozen=True)
class SpeechData:
    """Cuts with features, for a recognizer."""

    experiment: TrainConfig
    tokens: Tokens
    train_cuts: PackedCuts
    dev_cuts: PackedCuts
    dev_sets: Mapping[str, Collection[str]]  # ids by the name of the set; empty if only one set is named
    architecture: RecognizerArchitecture

    @classmethod
    def read(cls, experiment: TrainConfig, data: DataConfig, tokens: Tokens) -> "SpeechData":
        """Read the cuts; AsrkdError at the first error."""
        train_cuts = read_cuts(data.train)
        dev = {path: read_cuts(path) for path in data.dev_manifests}
        train_cuts = _without_fold(train_cuts, data)
        usable = train_cuts.where(lambda cut: data.min_cut <= cut.duration <= data.max_cut)
        if left_out := len(train_cuts) - len(usable):
            bounds = f"shorter than {data.min_cut:g} s or longer than {data.max_cut:g} s"
            warn(f"{data.train}: {left_out} cuts left out, {bounds}")
        if not usable:
            raise AsrkdError(f"{data.train}: no cut between data.min_cut and data.max_cut")
        features = feature_config(usable, str(data.train))
        for path, cuts in dev.items():
            if feature_config(cuts, str(path)) != features:
                raise AsrkdError(
                    f"{path}: its features differ from those of {data.train}; prepare both alike"
                )
        _warn_of_trained(usable, data.train, dev)
        if experiment.augment.noise is not None:
            verify_noise(experiment.augment.noise, features)
        assert not isinstance(experiment.model, LanguageModelConfig)  # the config refuses it
        architecture = recognizer_architecture(experiment.model, features, tokens.size)
        dev_sets = {set_name(path): {cut.id for cut in cuts.records} for path, cuts in dev.items()}
        named = dev_sets if isinstance(data.dev, list) else {}
        return cls(experiment, tokens, usable, pool_cuts(dev), named, architecture)

    def lineage(self) -> dict[str, Any]:
        """Return :meth:`digests`, and the identities of live targets."""
        live = [source for source in self._targets() if isinstance(source, LiveTargets)]
        return self.digests() | ({"live_targets": live_identities(live)} if live else {})

    def _targets(self) -> list[LiveTargets | str]:
        entries = [entry for phase in self.experiment.phases for entry in phase.objectives]
        return [getattr(entry.settings, "targets", "") for entry in entries]

    def digests(self) -> dict[str, Any]:
        """Return digests of cuts, transcripts, noise and stores, and the features."""
        noise = self.experiment.augment.noise
        stores = sorted({source for source in self._targets() if isinstance(source, str)})
        contracts = {store: Path(store) / CONTRACT for store in stores}
        return {
            "features": self.architecture.features.model_dump(mode="json"),
            "train_cuts": cuts_digest(self.train_cuts),
            "train_texts": texts_digest(self.train_cuts),
            "dev_cuts": cuts_digest(self.dev_cuts),
            "dev_texts": texts_digest(self.dev_cuts),
            "noise_cuts": None if noise is None else cuts_digest(read_cuts(noise.cuts)),
            "target_stores": {
                store: files.sha256(contract) for store, contract in contracts.items() if contract.is_file()
            },
        }

    def select(self, learner: Learner) -> PackedCuts:
        """Return the training cuts that ``learner`` has targets for; AsrkdError unless they fit."""
        return learner.verify(self.train_cuts)

    def validator(self, learner: Learner) -> Validator:
        """Build the validator; note the dev cuts that a CTC loss drops."""
        settings = self.experiment.validation
        unit = find_unit(settings.unit)
        student = learner.student
        assert isinstance(student, Recognizer)
        validator = Validator(
            self.dev_cuts,
            self.tokens,
            settings.max_duration,
            unit,
            self.dev_sets,
            subsampling=student.encoder.subsampling,
        )
        if student.has_ctc:
            learner.note(validator.dropped.lines("CTC loss of dev"))
        return validator

    def initialize(self, learner: Learner) -> None:
        """Give the front end the mean and spread of training features, and objectives some targets."""
        student = learner.student
        assert isinstance(student, Recognizer)
        with seeded(self.experiment.seed, "statistics") as rng:
            rows = rng.sample(range(len(self.train_cuts)), min(STATISTICS_CUTS, len(self.train_cuts)))
        mean, std = global_statistics([load_features(self.train_cuts[row]) for row in rows])
        student.encoder.front_end.set_statistics(mean, std)
        measured = evenly_spaced(self.train_cuts, MEASURED_CUTS)
        learner.measure(measured, next(student.parameters()).device)


def _without_fold(cuts: PackedCuts, data: DataConfig) -> PackedCuts:
    """Remove the cuts of the fold that is left out, with a line on stderr."""
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
        raise AsrkdError(f"{data.train}: all cuts are in the fold that is left out; set data.folds.by: cut")
    return kept


def _warn_of_trained(train_cuts: PackedCuts, train: Path, dev: Mapping[Path, PackedCuts]) -> None:
    """Warn of dev cuts that are training cuts, at any speed: their errors say nothing of other speech."""
    trained = {utterance_of(record.id) for record in train_cuts.records}
    for path, cuts in dev.items():
        shared = sum(utterance_of(record.id) in trained for record in cuts.records)
        if shared:
            remedy = command("asrkd", "prepare", "subset", train, "--without", path, "--out", "FILE")
            warn(
                f"{path}: {shared} of {counted(len(cuts), 'cut')} in training too, by which its error rate "
                f"is too low; leave them out of it: {remedy}"
            )


@dataclass(frozen=True)
class TextData:
    """Sentences, for a language model."""

    experiment: TrainConfig
    tokens: Tokens
    train: Sentences
    dev: Sentences
    architecture: LanguageModelArchitecture

    @classmethod
    def read(cls, experiment: TrainConfig, data: TextDataConfig, tokens: Tokens) -> "TextData":
        """Read the sentences; AsrkdError at the first error."""
        train, dev = (
            read_sentences(path, tokens, data.max_sentence) for path in (data.train_text, data.dev_text)
        )
        assert isinstance(experiment.model, LanguageModelConfig)  # the config refuses others
        architecture = LanguageModelArchitecture(
            language_model=experiment.model.language_model, num_tokens=tokens.size
        )
        return cls(experiment, tokens, train, dev, architecture)

    def lineage(self) -> dict[str, Any]:
        """Return :meth:`digests`."""
        return self.digests()

    def digests(self) -> dict[str, Any]:
        """Return digests of the sentences."""
        return {"train_text": self.train.digest(), "dev_text": self.dev.digest()}

    def select(self, learner: Learner) -> Sentences:
        """Return all sentences: reading them has checked that tokens spell them."""
        return self.train

    def validator(self, learner: Learner) -> TextValidator:
        """Build the validator."""
        return TextValidator(self.dev, self.tokens, self.experiment.data.batch_limit.size)

    def initialize(self, learner: Learner) -> None:
        """Do nothing: text has no statistics."""
