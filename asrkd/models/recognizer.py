"""Recognizers (an encoder with a CTC head, a decoder, a transducer, or several) and language models.

Notation: N utterances, T' feature frames, F features, T encoder frames, B
sequences, V tokens with the blank or boundary at 0, D model size.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from asrkd.data.tokens import Tokens
from asrkd.models.config import (
    AnyArchitecture,
    ConformerConfig,
    ConvolutionalEncoderConfig,
    DecoderConfig,
    DeepSpeech2Config,
    EncoderConfig,
    LanguageModelArchitecture,
    LasDecoderConfig,
    LasEncoderConfig,
    RecognizerArchitecture,
    TransformerEncoderConfig,
    TransformerLayers,
)
from asrkd.models.conformer import Conformer
from asrkd.models.convolutional import ConvolutionalEncoder
from asrkd.models.deep_speech import DeepSpeech2
from asrkd.models.encoder import Encoder, Tap
from asrkd.models.front_end import num_encoder_frames
from asrkd.models.las import LasEncoder
from asrkd.models.las_decoder import LasDecoder
from asrkd.models.stepwise import Decoder, StepState
from asrkd.models.transducer import Transducer
from asrkd.models.transformer import TransformerEncoder
from asrkd.models.transformer_decoder import TransformerDecoder


@dataclass(frozen=True)
class RecognizerOutput:
    """Outputs of a recognizer for a batch."""

    logits: Tensor | None  # (N, T, V) of the CTC head, before the softmax; None without a CTC head
    num_frames: Tensor  # (N,)
    tapped: dict[Tap, Tensor]  # each (N, T, size of the layer)
    encoded: Tensor | None = None  # (N, T, D) that a decoder attends to
    intermediate: dict[Tap, Tensor] = field(default_factory=dict)  # (N, T, V) logits of intermediate heads

    def frame_logits(self, tap: Tap | None = None) -> Tensor:
        """Return the CTC head's logits (N, T, V), or those of the intermediate head at ``tap``.

        Raises:
            ValueError: there is no CTC head.
        """
        logits = self.logits if tap is None else self.intermediate[tap]
        if logits is None:
            raise ValueError("the recognizer has no CTC head, so no logits of frames")
        return logits

    def log_probs(self, tap: Tap | None = None) -> Tensor:
        """Return log-probabilities (N, T, V) in nats, float32, of :meth:`frame_logits`."""
        return self.frame_logits(tap).float().log_softmax(dim=-1)

    def memory(self) -> Tensor:
        """Return the encoder frames (N, T, D) that a decoder attends to; ValueError without them."""
        if self.encoded is None:
            raise ValueError("the output has no encoder frames")
        return self.encoded


class Recognizer(nn.Module):
    """Encoder, CTC head and attention decoder: features to logits of frames, and to a decoder's memory."""

    def __init__(self, architecture: RecognizerArchitecture) -> None:
        """Build with random weights, drawn from torch's global generator."""
        super().__init__()
        self.architecture = architecture
        parts, num_tokens = architecture.model(), architecture.num_tokens
        self.encoder = build_encoder(parts.encoder, architecture.features.num_features)
        self.dropout = nn.Dropout(parts.encoder.dropout)
        self.ctc_head = nn.Linear(self.dim, num_tokens) if parts.ctc else None
        self.decoder = (
            None if parts.decoder is None else build_decoder(parts.decoder, num_tokens, self.encoder.dim)
        )
        self.transducer = (
            None if parts.transducer is None else Transducer(parts.transducer, num_tokens, self.encoder.dim)
        )

    @property
    def dim(self) -> int:
        """D, the size of an encoder frame; layers have that of :meth:`Encoder.layer_dim`."""
        return self.encoder.dim

    @property
    def has_ctc(self) -> bool:
        """Whether there is a CTC head."""
        return self.ctc_head is not None

    @property
    def has_decoder(self) -> bool:
        """Whether there is an attention decoder."""
        return self.decoder is not None

    @property
    def has_transducer(self) -> bool:
        """Whether there is a transducer's predictor and joiner."""
        return self.transducer is not None

    @property
    def reads_encoded(self) -> bool:
        """Whether there is a decoder or a transducer, which read encoder frames."""
        return self.has_decoder or self.has_transducer

    @property
    def frame_shift(self) -> float:
        """Seconds between the centers of successive encoder frames."""
        return self.architecture.features.frame_shift * self.encoder.subsampling

    def num_frames(self, num_feature_frames: Tensor) -> Tensor:
        """Return the encoder frames of each utterance, (N,), from its (N,) feature frames."""
        return num_encoder_frames(num_feature_frames, self.encoder.subsampling)

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> RecognizerOutput:
        """Encode (N, T', F) features of (N,) feature frames each; padding may hold anything.

        T is :meth:`num_frames` of T'. ValueError if a tap's layer does not exist.
        """
        encoded = self.encoder(features, num_frames, taps)
        logits = None if self.ctc_head is None else self.ctc_head(self.dropout(encoded.frames))
        return RecognizerOutput(logits, encoded.num_frames, encoded.tapped, encoded.frames)


class LanguageModel(nn.Module):
    """Language model: a Transformer decoder without speech, and a :class:`asrkd.models.stepwise.Stepwise`."""

    has_ctc = False

    def __init__(self, architecture: LanguageModelArchitecture) -> None:
        """Build with random weights, drawn from torch's global generator."""
        super().__init__()
        self.architecture = architecture
        self.decoder = TransformerDecoder(architecture.language_model, architecture.num_tokens, None)

    def num_frames(self, num_feature_frames: Tensor) -> Tensor:
        """Return the frames of N texts, zeros (N,), as given."""
        return num_feature_frames

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> RecognizerOutput:
        """Return the empty memory that its decoder attends to, for each of N texts.

        Args:
            features: (N, 0, 0) empty features, which give N and the device.
            num_frames: (N,) zeros.
            taps: an empty collection, as a language model has no encoder.

        Raises:
            ValueError: there are taps.
        """
        if taps:
            raise ValueError("a language model has no encoder layers to tap")
        return RecognizerOutput(None, num_frames, {}, features)

    def start(self, encoded: Tensor, num_frames: Tensor) -> StepState:
        """Return the state before the first token of N sequences.

        Only N and the device of ``encoded`` (N, T, D) and ``num_frames`` (N,) matter.
        """
        return self.decoder.start(encoded[:, :0], num_frames.new_zeros(len(encoded)))

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """Return (B, V) log-probabilities in nats of the token after ``tokens`` (B,), and the state after."""
        return self.decoder.step(tokens, state)


def build_encoder(config: EncoderConfig, num_features: int) -> Encoder:
    """Build the encoder that ``config`` chooses, for features of size ``num_features``."""
    chosen = config.chosen
    if isinstance(chosen, ConformerConfig):
        return Conformer(chosen, num_features)
    if isinstance(chosen, TransformerEncoderConfig):
        return TransformerEncoder(chosen, num_features)
    if isinstance(chosen, ConvolutionalEncoderConfig):
        return ConvolutionalEncoder(chosen, num_features)
    if isinstance(chosen, DeepSpeech2Config):
        return DeepSpeech2(chosen, num_features)
    assert isinstance(chosen, LasEncoderConfig)
    return LasEncoder(chosen, num_features)


def build_decoder(config: DecoderConfig, num_tokens: int, encoder_dim: int) -> Decoder:
    """Build the decoder that ``config`` chooses, for V tokens and encoder frames of size ``encoder_dim``."""
    chosen = config.chosen
    if isinstance(chosen, TransformerLayers):
        return TransformerDecoder(chosen, num_tokens, encoder_dim)
    assert isinstance(chosen, LasDecoderConfig)
    return LasDecoder(chosen, num_tokens, encoder_dim)


Student = Recognizer | LanguageModel  # a model that is trained


def build_model(architecture: AnyArchitecture) -> Student:
    """Build a model with random weights, drawn from torch's global generator."""
    if isinstance(architecture, LanguageModelArchitecture):
        return LanguageModel(architecture)
    return Recognizer(architecture)


def num_parameters(module: nn.Module) -> int:
    """Count the trainable numbers of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


@dataclass(frozen=True)
class LoadedModel:
    """Recognizer loaded from a model folder, in evaluation mode."""

    path: Path
    recognizer: Recognizer
    tokens: Tokens
    weights_sha256: str

    @property
    def architecture(self) -> RecognizerArchitecture:
        """Sizes, features and number of tokens."""
        return self.recognizer.architecture
