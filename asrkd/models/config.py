"""Sizes of models, as an experiment's config and a model folder hold them.

Frames of encoders and decoders are encoder frames, a ``subsampling``-th of the feature frames.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from asrkd.core.config import LaterKeys, OneOf, Section
from asrkd.data.features.reading import FeatureConfig

CHANNELS_OF_A_GROUP = 4  # of the convolution of a transducer's predictor, as in icefall


class TransformerLayers(Section):
    """Sizes of the Transformer layers of an encoder, a decoder or a language model."""

    num_layers: int = Field(6, ge=1)
    dim: int = Field(512, ge=2)  # size of the residual stream
    num_heads: int = Field(8, ge=1)
    feed_forward_dim: int = Field(2048, ge=1)
    dropout: float = Field(0.1, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check_heads(self) -> "TransformerLayers":
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ValueError(f"dim {self.dim} must be an even multiple of num_heads {self.num_heads}")
        return self


class LasDecoderConfig(Section):
    """Sizes of the GRU decoder of "Listen, attend and spell", with location-aware attention."""

    num_layers: int = Field(3, ge=1)
    dim: int = Field(384, ge=1)  # size of the GRU
    embedding_dim: int = Field(32, ge=1)  # size of a token's embedding
    attention_channels: int = Field(128, ge=1)  # channels of the convolution over the last alignment
    attention_kernel_size: int = Field(15, ge=1)  # frames, an odd number
    dropout: float = Field(0.4, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check_kernel(self) -> "LasDecoderConfig":
        if self.attention_kernel_size % 2 == 0:
            raise ValueError(f"attention_kernel_size {self.attention_kernel_size} must be odd")
        return self


class DecoderConfig(OneOf):
    """Choice of one kind of attention decoder, with its sizes."""

    transformer: TransformerLayers | None = None
    las: LasDecoderConfig | None = None


class TransducerConfig(Section):
    """Sizes of a transducer's predictor and joiner."""

    context_size: int = Field(2, ge=1)  # tokens that the predictor sees
    predictor_dim: int = Field(512, ge=1)
    joiner_dim: int = Field(512, ge=1)

    @model_validator(mode="after")
    def _check_groups(self) -> "TransducerConfig":
        if self.context_size > 1 and self.predictor_dim % CHANNELS_OF_A_GROUP:
            raise ValueError(
                f"predictor_dim {self.predictor_dim} must be a multiple of {CHANNELS_OF_A_GROUP}"
            )
        return self


class FrontEndConfig(LaterKeys):
    """Settings of every encoder's front end: normalization of features, and the rate of encoder frames."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"utterance_mean", "subsampling"})
    utterance_mean: bool = False  # subtract the mean of each utterance from its features, not that of train
    subsampling: Literal[1, 2, 4, 8] = 4  # feature frames in an encoder frame


class ConformerConfig(FrontEndConfig):
    """Sizes and options of a Conformer encoder; as a whole model, of a Conformer-CTC recognizer."""

    later_keys: ClassVar[frozenset[str]] = FrontEndConfig.later_keys | {"drawn_chunk_frames"}

    num_layers: int = Field(12, ge=1)
    dim: int = Field(256, ge=2)  # size of the residual stream
    num_heads: int = Field(4, ge=1)
    feed_forward_dim: int = Field(1024, ge=1)
    kernel_size: int = Field(15, ge=1)  # frames, of the depthwise convolution
    front_end_channels: int = Field(32, ge=1)
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    causal: bool = False  # whether convolutions exclude later frames
    chunk_frames: int | None = Field(None, ge=1)  # frames in a chunk of attention; None: no chunks
    left_chunks: int | None = Field(None, ge=0)  # earlier chunks in reach of attention; None: all
    drawn_chunk_frames: tuple[Annotated[int, Field(ge=0)], ...] = ()  # drawn for a batch of training; 0: none

    @model_validator(mode="after")
    def _check_streaming(self) -> "ConformerConfig":
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ValueError(f"dim {self.dim} must be an even multiple of num_heads {self.num_heads}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} must be odd")
        if self.left_chunks is not None and self.chunk_frames is None:
            raise ValueError("left_chunks has no effect without chunk_frames")
        if self.drawn_chunk_frames and self.chunk_frames is None:
            raise ValueError("drawn_chunk_frames needs chunk_frames, the chunk of evaluation")
        if self.chunk_frames is not None and not self.causal:
            raise ValueError("chunk_frames needs causal: true, or the convolutions would look past a chunk")
        if self.causal and self.utterance_mean:
            raise ValueError("utterance_mean needs causal: false, as the mean is known at the end only")
        return self


class TransformerEncoderConfig(FrontEndConfig, TransformerLayers):
    """Sizes of a Transformer encoder, which follows the Conformer's front end."""

    front_end_channels: int = Field(32, ge=1)


class LasEncoderConfig(FrontEndConfig):
    """Sizes of the encoder of "Listen, attend and spell": convolutions and bidirectional GRUs."""

    num_layers: int = Field(5, ge=1)
    dim: int = Field(384, ge=1)  # size of the GRU of each direction; an encoder frame is twice as wide
    channels: int = Field(32, ge=1)  # channels of both convolutions
    kernel_size: tuple[int, int] = (5, 8)  # sizes of both kernels: frames (odd) and features
    dropout: float = Field(0.4, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check_kernel(self) -> "LasEncoderConfig":
        if min(self.kernel_size) < 1 or self.kernel_size[0] % 2 == 0:
            raise ValueError(f"kernel_size {list(self.kernel_size)}: expected an odd number of frames first")
        return self


class ConvolutionConfig(Section):
    """Sizes of a convolution over time."""

    channels: int = Field(ge=1)
    kernel_size: int = Field(ge=1)  # frames, an odd number
    dilation: int = Field(1, ge=1)  # frames from one that the kernel takes to the next

    @model_validator(mode="after")
    def _check_kernel(self) -> "ConvolutionConfig":
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} must be odd")
        return self


class BlockConfig(ConvolutionConfig):
    """Sizes of a block of equal convolutions over time."""

    repeat: int = Field(2, ge=1)  # convolutions in the block


class ConvolutionalEncoderConfig(FrontEndConfig):
    """Sizes of an encoder of convolutions over time, most of them in blocks with residual connections."""

    prologue: ConvolutionConfig  # its stride is the subsampling
    blocks: tuple[BlockConfig, ...]
    epilogue: tuple[ConvolutionConfig, ...]
    separable: bool  # each channel by itself, then a linear map of the channels
    residual: Literal["block", "dense", "none"]  # of the block's input, of all outputs before it, or none
    activation: Literal["silu", "relu"] = "silu"
    dropout: float = Field(0.1, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check_layers(self) -> "ConvolutionalEncoderConfig":
        if not self.blocks:
            raise ValueError("blocks: expected one at least")
        if self.prologue.kernel_size < self.subsampling or self.prologue.dilation > 1:
            raise ValueError(
                f"prologue: expected a kernel_size of at least the subsampling, {self.subsampling}, and no "
                "dilation, or frames are left out"
            )
        return self


class JasperConfig(ConvolutionalEncoderConfig):
    """Sizes of a Jasper encoder, of dense convolutions."""

    prologue: ConvolutionConfig = ConvolutionConfig(channels=32, kernel_size=11)
    blocks: tuple[BlockConfig, ...] = tuple(BlockConfig(channels=32, kernel_size=size) for size in (7, 9, 11))
    epilogue: tuple[ConvolutionConfig, ...] = (ConvolutionConfig(channels=64, kernel_size=1),)
    separable: bool = False
    residual: Literal["block", "dense", "none"] = "dense"


class QuartzNetConfig(ConvolutionalEncoderConfig):
    """Sizes of a QuartzNet encoder, of separable convolutions."""

    prologue: ConvolutionConfig = ConvolutionConfig(channels=64, kernel_size=11)
    blocks: tuple[BlockConfig, ...] = tuple(
        BlockConfig(channels=64, kernel_size=size) for size in (11, 15, 19)
    )
    epilogue: tuple[ConvolutionConfig, ...] = (ConvolutionConfig(channels=96, kernel_size=1),)
    separable: bool = True
    residual: Literal["block", "dense", "none"] = "dense"  # the paper's, block, stalls at these sizes


class DeepSpeech2Config(FrontEndConfig):
    """Sizes of a DeepSpeech2 encoder: convolutions, bidirectional LSTMs and a fully connected layer."""

    channels: int = Field(8, ge=1)  # channels of both convolutions
    kernel_sizes: tuple[tuple[int, int], tuple[int, int]] = ((5, 11), (5, 11))  # frames and features, odd
    num_layers: int = Field(2, ge=1)  # of LSTMs
    dim: int = Field(48, ge=1)  # size of each direction of an LSTM, and of the sum of both
    output_dim: int = Field(64, ge=1)  # size of the fully connected layer
    dropout: float = Field(0.1, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check_kernels(self) -> "DeepSpeech2Config":
        if any(size < 1 or size % 2 == 0 for kernel in self.kernel_sizes for size in kernel):
            raise ValueError(f"kernel_sizes {list(map(list, self.kernel_sizes))}: expected odd numbers")
        return self


class EncoderConfig(OneOf):
    """Choice of one kind of encoder, with its sizes."""

    conformer: ConformerConfig | None = None
    transformer: TransformerEncoderConfig | None = None
    las: LasEncoderConfig | None = None
    jasper: JasperConfig | None = None
    quartznet: QuartzNetConfig | None = None
    deepspeech2: DeepSpeech2Config | None = None

    @property
    def dropout(self) -> float:
        """Dropout of the chosen encoder; it applies to the encoder's output too."""
        return float(getattr(self.chosen, "dropout"))  # noqa: B009


class EncoderDecoderConfig(LaterKeys):
    """Sizes of a recognizer: an encoder with a CTC head, an attention decoder, a transducer, or several."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"transducer"})
    encoder: EncoderConfig
    decoder: DecoderConfig | None = None
    transducer: TransducerConfig | None = None
    ctc: bool  # whether there is a CTC head

    @model_validator(mode="after")
    def _check_outputs(self) -> "EncoderDecoderConfig":
        if self.decoder is None and self.transducer is None and not self.ctc:
            raise ValueError("expected a decoder, a transducer, ctc: true, or several")
        return self


class LanguageModelConfig(Section):
    """Sizes of a language model, which is a Transformer decoder without attention to speech."""

    language_model: TransformerLayers


class Architecture(Section):
    """Architecture of a Conformer-CTC recognizer: all that building it needs, but for the weights."""

    kind: Literal["conformer-ctc"] = "conformer-ctc"
    conformer: ConformerConfig
    features: FeatureConfig
    num_tokens: int = Field(ge=2)  # V, with blank

    def model(self) -> EncoderDecoderConfig:
        """Return encoder, decoder and head."""
        return EncoderDecoderConfig(encoder=EncoderConfig(conformer=self.conformer), ctc=True)


class EncoderDecoderArchitecture(Section):
    """Architecture of a recognizer with a choice of encoder, decoder and head."""

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    parts: EncoderDecoderConfig
    features: FeatureConfig
    num_tokens: int = Field(ge=2)  # V, with the blank or boundary

    def model(self) -> EncoderDecoderConfig:
        """Return encoder, decoder and head."""
        return self.parts


class LanguageModelArchitecture(Section):
    """Architecture of a language model."""

    kind: Literal["transformer-lm"] = "transformer-lm"
    language_model: TransformerLayers
    num_tokens: int = Field(ge=2)  # V, with the boundary


RecognizerArchitecture = Architecture | EncoderDecoderArchitecture
AnyArchitecture = RecognizerArchitecture | LanguageModelArchitecture


def recognizer_architecture(
    model: ConformerConfig | EncoderDecoderConfig, features: FeatureConfig, num_tokens: int
) -> RecognizerArchitecture:
    """Return the architecture of an experiment's ``model``, given its features and number of tokens."""
    if isinstance(model, EncoderDecoderConfig):
        return EncoderDecoderArchitecture(parts=model, features=features, num_tokens=num_tokens)
    return Architecture(conformer=model, features=features, num_tokens=num_tokens)


def _model_class(value: Any) -> str:
    """Return the class of an experiment's ``model``, by its keys."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    if "encoder" in keys or "decoder" in keys:
        return "EncoderDecoderConfig"
    return "LanguageModelConfig" if "language_model" in keys else "ConformerConfig"


ModelConfig = Annotated[
    Annotated[ConformerConfig, Tag("ConformerConfig")]
    | Annotated[EncoderDecoderConfig, Tag("EncoderDecoderConfig")]
    | Annotated[LanguageModelConfig, Tag("LanguageModelConfig")],
    Discriminator(_model_class),
]
