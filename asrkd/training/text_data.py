"""Sentences as what a language model learns from."""

from dataclasses import dataclass
from typing import Any

from asrkd.data.tokens import Tokens
from asrkd.models.config import LanguageModelArchitecture, LanguageModelConfig
from asrkd.models.recognizer import Student
from asrkd.targets.sources.text import Sentences, read_sentences
from asrkd.training.config import TrainConfig
from asrkd.training.data_config import TextDataConfig
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner
from asrkd.training.trainer import Trainer
from asrkd.training.validation import TextValidator


@dataclass(frozen=True)
class TextData:
    """Sentences to learn from and to validate on."""

    experiment: TrainConfig
    tokens: Tokens
    train: Sentences
    dev: Sentences
    architecture: LanguageModelArchitecture

    @classmethod
    def gather(cls, experiment: TrainConfig, data: TextDataConfig, tokens: Tokens) -> "TextData":
        """Read the sentences; AsrkdError at the first thing that is wrong."""
        train, dev = (
            read_sentences(path, tokens, data.max_sentence) for path in (data.train_text, data.dev_text)
        )
        assert isinstance(experiment.model, LanguageModelConfig)  # the config sees to it
        architecture = LanguageModelArchitecture(
            language_model=experiment.model.language_model, num_tokens=tokens.size
        )
        return cls(experiment, tokens, train, dev, architecture)

    def lineage(self) -> dict[str, Any]:
        """Digests of the sentences."""
        return {"train_text": self.train.digest(), "dev_text": self.dev.digest()}

    def trainer(self, learner: Learner, machine: Environment) -> Trainer:
        """What trains ``learner``; that tokens spell every sentence was seen as they were read."""
        validator = TextValidator(self.dev, self.tokens, self.experiment.data.batch_limit.size)
        return Trainer(self.experiment, learner, self.train, validator, machine)

    def begin(self, student: Student) -> None:
        """Text has no statistics."""
