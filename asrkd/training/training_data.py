"""What a run learns from, read and checked: speech, or for a language model text."""

from typing import Any, Protocol

from asrkd.core.randomness import seeded
from asrkd.data.tokens import Tokens
from asrkd.models.config import AnyArchitecture
from asrkd.models.recognizer import Student, build_model
from asrkd.training.config import TrainConfig
from asrkd.training.data_config import TextDataConfig
from asrkd.training.environment import Environment
from asrkd.training.learner import Learner
from asrkd.training.speech_data import SpeechData
from asrkd.training.text_data import TextData
from asrkd.training.trainer import Trainer


class TrainingData(Protocol):
    """Cuts or sentences to learn from and to validate on."""

    @property
    def architecture(self) -> AnyArchitecture:
        """Of the model that fits them."""

    def lineage(self) -> dict[str, Any]:
        """What of them decides the result: digests of all that is read."""

    def trainer(self, learner: Learner, machine: Environment) -> Trainer:
        """What trains ``learner`` on them; AsrkdError unless there are targets for all."""

    def begin(self, student: Student) -> None:
        """Put into a fresh student what is taken from the material and not learned."""


def gather(experiment: TrainConfig, tokens: Tokens) -> TrainingData:
    """Read what the experiment names; AsrkdError at the first thing that is wrong."""
    if isinstance(experiment.data, TextDataConfig):
        return TextData.gather(experiment, experiment.data, tokens)
    return SpeechData.gather(experiment, experiment.data, tokens)


def fresh_learner(experiment: TrainConfig, material: TrainingData, tokens: Tokens) -> Learner:
    """The student with its objectives, its weights a function of the seed alone."""
    with seeded(experiment.seed, "weights"):
        return Learner(build_model(material.architecture), experiment.phases, tokens)
