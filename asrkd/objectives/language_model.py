"""Cross-entropy of sentences under a language model: -log P(tokens, end), in nats per token and end.

This is the objective ``attention`` with a decoder that does not attend to speech.
"""

from typing import Any

from pydantic import Field

from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import LanguageModel
from asrkd.objectives.attention import Attention, AttentionConfig
from asrkd.objectives.base import Kind, Objective, ObjectiveConfig
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.text import TextSource


class LanguageModelObjectiveConfig(ObjectiveConfig):
    """Settings of the objective ``language_model``; validation has no smoothing."""

    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)  # share of the target that is spread over all tokens


def _source(settings: LanguageModelObjectiveConfig, tokens: Tokens) -> TargetSource:
    return TextSource(tokens)


def _build(settings: LanguageModelObjectiveConfig, source: Any, student: LanguageModel) -> Objective:
    return Attention(AttentionConfig(label_smoothing=settings.label_smoothing), student)


KIND = Kind("language_model", LanguageModelObjectiveConfig, _source, _build)
