"""A Transformer language model: a decoder that attends to no speech.

Letters: N or S sequences, U tokens, V tokens with the boundary at 0.
"""

from collections.abc import Collection

from torch import Tensor, nn

from asrkd.models.config import AnyArchitecture, LanguageModelArchitecture
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.models.stepwise import StepState
from asrkd.models.transformer_decoder import TransformerDecoder


class LanguageModel(nn.Module):
    """Tokens so far to logits of the next one; a :class:`asrkd.models.stepwise.Stepwise` too."""

    has_ctc = False

    def __init__(self, architecture: LanguageModelArchitecture) -> None:
        """Build with fresh weights, drawn from torch's global generator."""
        super().__init__()
        self.architecture = architecture
        self.decoder = TransformerDecoder(architecture.language_model, architecture.num_tokens, None)

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> RecognizerOutput:
        """What a recognizer's decoder would attend to: nothing, for each of N texts.

        Args:
            features: (N, 0, 0), of which N and the device count.
            num_frames: (N,), zeros.
            taps: none can be wanted.

        Raises:
            ValueError: a tap is wanted.
        """
        if taps:
            raise ValueError("a language model has no layers over speech")
        return RecognizerOutput(None, num_frames, {}, features)

    def start(self, encoded: Tensor, num_frames: Tensor) -> StepState:
        """The state before the first token of N sequences.

        Of ``encoded`` (N, T, D) and ``num_frames`` (N,) it looks at N and the device alone.
        """
        return self.decoder.start(encoded[:, :0], num_frames.new_zeros(len(encoded)))

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """(B, V) log-probabilities in nats of what follows the (B,) ``tokens``, and the state after them."""
        return self.decoder.step(tokens, state)


Student = Recognizer | LanguageModel  # what is trained


def fresh_model(architecture: AnyArchitecture) -> Student:
    """A model with fresh weights, drawn from torch's global generator."""
    if isinstance(architecture, LanguageModelArchitecture):
        return LanguageModel(architecture)
    return Recognizer(architecture)
