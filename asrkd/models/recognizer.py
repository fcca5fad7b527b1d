"""A recognizer: an encoder, and over a token inventory a CTC head, an attention decoder, or both.

Letters: N utterances, T' feature frames, F features, T encoder frames, V
tokens with blank at 0, D model size.
"""

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn

from asrkd.models.config import RecognizerArchitecture
from asrkd.models.conformer import Conformer
from asrkd.models.decoder import Decoder
from asrkd.models.encoder import Encoder, Tap
from asrkd.models.encoder_config import (
    ConformerConfig,
    DecoderConfig,
    EncoderConfig,
    LasDecoderConfig,
    LasEncoderConfig,
    TransformerEncoderConfig,
    TransformerLayers,
)
from asrkd.models.front_end import SUBSAMPLING
from asrkd.models.las import LasEncoder
from asrkd.models.las_decoder import LasDecoder
from asrkd.models.transformer import TransformerEncoder
from asrkd.models.transformer_decoder import TransformerDecoder

BLANK = 0


@dataclass(frozen=True)
class RecognizerOutput:
    """What a recognizer says of a batch."""

    logits: Tensor | None  # (N, T, V) of the CTC head, before the softmax; None: there is none
    num_frames: Tensor  # (N,)
    tapped: dict[Tap, Tensor]  # each (N, T, D)
    encoded: Tensor | None = None  # (N, T, D), what a decoder attends to

    def frame_logits(self) -> Tensor:
        """Logits (N, T, V) of the tokens at each frame; ValueError if there is no CTC head."""
        if self.logits is None:
            raise ValueError("a recognizer without a CTC head says nothing of single frames")
        return self.logits

    def log_probs(self) -> Tensor:
        """Log-probabilities (N, T, V) of the tokens at each frame, in nats, float32.

        Raises:
            ValueError: there is no CTC head.
        """
        return self.frame_logits().float().log_softmax(dim=-1)

    def memory(self) -> Tensor:
        """The encoding (N, T, D) that a decoder attends to; ValueError if the output was made without."""
        if self.encoded is None:
            raise ValueError("an output without its encoding")
        return self.encoded


class Recognizer(nn.Module):
    """Features to token logits at encoder frames, and to what a decoder attends to."""

    def __init__(self, architecture: RecognizerArchitecture) -> None:
        """Build with fresh weights, drawn from torch's global generator."""
        super().__init__()
        self.architecture = architecture
        parts, num_tokens = architecture.model(), architecture.num_tokens
        self.encoder = build_encoder(parts.encoder, architecture.features.num_features)
        self.dropout = nn.Dropout(parts.encoder.dropout)
        self.ctc_head = nn.Linear(self.dim, num_tokens) if parts.ctc else None
        self.decoder = (
            None if parts.decoder is None else build_decoder(parts.decoder, num_tokens, self.encoder.dim)
        )

    @property
    def dim(self) -> int:
        """D, the size of every tapped layer."""
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
    def frame_shift(self) -> float:
        """Seconds between the centers of successive encoder frames."""
        return self.architecture.features.frame_shift * SUBSAMPLING

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> RecognizerOutput:
        """Recognize (N, T', F) features of (N,) feature frames each; padding may hold anything.

        The output has T = ceil(T' / 4) frames. ValueError if a tap names a layer that there is not.
        """
        encoded = self.encoder(features, num_frames, taps)
        logits = None if self.ctc_head is None else self.ctc_head(self.dropout(encoded.frames))
        return RecognizerOutput(logits, encoded.num_frames, encoded.tapped, encoded.frames)


def build_encoder(config: EncoderConfig, num_features: int) -> Encoder:
    """The encoder that ``config`` chooses, for features of size ``num_features``."""
    chosen = config.chosen
    if isinstance(chosen, ConformerConfig):
        return Conformer(chosen, num_features)
    if isinstance(chosen, TransformerEncoderConfig):
        return TransformerEncoder(chosen, num_features)
    assert isinstance(chosen, LasEncoderConfig)
    return LasEncoder(chosen, num_features)


def build_decoder(config: DecoderConfig, num_tokens: int, encoder_dim: int) -> Decoder:
    """The decoder that ``config`` chooses, of V tokens, for encoder frames of size ``encoder_dim``."""
    chosen = config.chosen
    if isinstance(chosen, TransformerLayers):
        return TransformerDecoder(chosen, num_tokens, encoder_dim)
    assert isinstance(chosen, LasDecoderConfig)
    return LasDecoder(chosen, num_tokens, encoder_dim)


def num_parameters(module: nn.Module) -> int:
    """How many numbers the module learns."""
    return sum(parameter.numel() for parameter in module.parameters())
