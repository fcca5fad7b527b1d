"""The sizes of a model, as they stand in an experiment's config and in a model folder."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from asrkd.core.config import Section
from asrkd.data.features.reading import FeatureConfig
from asrkd.models.encoder_config import ConformerConfig as ConformerConfig
from asrkd.models.encoder_config import DecoderConfig, EncoderConfig, TransformerLayers


class EncoderDecoderConfig(Section):
    """Any encoder with a CTC head, an attention decoder, or both."""

    encoder: EncoderConfig
    decoder: DecoderConfig | None = None
    ctc: bool  # whether there is a CTC head

    @model_validator(mode="after")
    def _says_something(self) -> "EncoderDecoderConfig":
        if self.decoder is None and not self.ctc:
            raise ValueError("expected a decoder, ctc: true, or both")
        return self


class LanguageModelConfig(Section):
    """A language model: a Transformer decoder that attends to no speech."""

    language_model: TransformerLayers


class Architecture(Section):
    """Everything needed to build a Conformer-CTC recognizer without its weights."""

    kind: Literal["conformer-ctc"] = "conformer-ctc"
    conformer: ConformerConfig
    features: FeatureConfig
    num_tokens: int = Field(ge=2)  # V, with blank

    def model(self) -> EncoderDecoderConfig:
        """Its parts."""
        return EncoderDecoderConfig(encoder=EncoderConfig(conformer=self.conformer), ctc=True)


class EncoderDecoderArchitecture(Section):
    """The same of a recognizer whose encoder, decoder and head are chosen one by one."""

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    parts: EncoderDecoderConfig
    features: FeatureConfig
    num_tokens: int = Field(ge=2)  # V, with the blank or boundary

    def model(self) -> EncoderDecoderConfig:
        """Its parts."""
        return self.parts


class LanguageModelArchitecture(Section):
    """The same of a language model."""

    kind: Literal["transformer-lm"] = "transformer-lm"
    language_model: TransformerLayers
    num_tokens: int = Field(ge=2)  # V, with the boundary


RecognizerArchitecture = Architecture | EncoderDecoderArchitecture
AnyArchitecture = RecognizerArchitecture | LanguageModelArchitecture


def recognizer_architecture(
    model: ConformerConfig | EncoderDecoderConfig, features: FeatureConfig, num_tokens: int
) -> RecognizerArchitecture:
    """The architecture of the ``model`` of an experiment's config, for what it reads and says."""
    if isinstance(model, EncoderDecoderConfig):
        return EncoderDecoderArchitecture(parts=model, features=features, num_tokens=num_tokens)
    return Architecture(conformer=model, features=features, num_tokens=num_tokens)


def _which_model(value: Any) -> str:
    """The class of an experiment's ``model``, by the keys it has."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    if "encoder" in keys or "decoder" in keys:
        return "EncoderDecoderConfig"
    return "LanguageModelConfig" if "language_model" in keys else "ConformerConfig"


ModelConfig = Annotated[
    Annotated[ConformerConfig, Tag("ConformerConfig")]
    | Annotated[EncoderDecoderConfig, Tag("EncoderDecoderConfig")]
    | Annotated[LanguageModelConfig, Tag("LanguageModelConfig")],
    Discriminator(_which_model),
]
