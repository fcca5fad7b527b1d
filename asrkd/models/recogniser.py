"""A recogniser: an encoder and a CTC head over a token inventory.

Letters: N utterances, T encoder frames, V tokens with blank at 0, D model size.
"""

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn

from asrkd.models.config import Architecture
from asrkd.models.conformer import Conformer, Tap
from asrkd.models.front_end import SUBSAMPLING

BLANK = 0


@dataclass(frozen=True)
class RecogniserOutput:
    """What a recogniser says of a batch."""

    logits: Tensor  # (N, T, V), before the softmax
    num_frames: Tensor  # (N,)
    tapped: dict[Tap, Tensor]  # each (N, T, D)

    def log_probs(self) -> Tensor:
        """Log-probabilities (N, T, V) of the tokens at each frame, in float32."""
        return self.logits.float().log_softmax(dim=-1)


class Recogniser(nn.Module):
    """Conformer-CTC: features to token logits, four feature frames to one encoder frame."""

    def __init__(self, architecture: Architecture) -> None:
        """Build with fresh weights, drawn from torch's global generator."""
        super().__init__()
        self.architecture = architecture
        config = architecture.conformer
        self.encoder = Conformer(config, architecture.features.num_features)
        self.dropout = nn.Dropout(config.dropout)
        self.ctc_head = nn.Linear(config.dim, architecture.num_tokens)

    @property
    def dim(self) -> int:
        """D, the size of every tapped layer."""
        return self.architecture.conformer.dim

    @property
    def frame_shift(self) -> float:
        """Seconds between the centres of successive encoder frames."""
        return self.architecture.features.frame_shift * SUBSAMPLING

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> RecogniserOutput:
        """Recognise (N, 4 T, F) features of (N,) feature frames each; padding may hold anything."""
        encoded = self.encoder(features, num_frames, taps)
        logits = self.ctc_head(self.dropout(encoded.frames))
        return RecogniserOutput(logits, encoded.num_frames, encoded.tapped)


def num_parameters(module: nn.Module) -> int:
    """How many numbers the module learns."""
    return sum(parameter.numel() for parameter in module.parameters())
