"""What every attention decoder is: teacher-forced over whole sequences, or asked for a token at a time.

Letters: N utterances, S or B sequences, T encoder frames, D their size, U tokens, V tokens of the inventory.
"""

from torch import Tensor, nn

from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.stepwise import BOUNDARY, StepState


class Decoder(nn.Module):
    """An attention decoder, which is a :class:`asrkd.models.stepwise.Stepwise` too."""

    def forward(
        self, encoded: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, utterance: Tensor
    ) -> Tensor:
        """What follows each beginning of the given sequences.

        Args:
            encoded: (N, T, D); frames beyond ``num_frames`` may hold anything.
            num_frames: (N,).
            tokens: (S, U) that the decoder is told; padding may hold any token.
            num_tokens: (S,).
            utterance: (S,), the row of the encoding that each sequence belongs to.

        Returns:
            (S, U + 1, V) logits: position u predicts token u, the one behind
            the last token the boundary. What lies beyond it means nothing.
        """
        raise NotImplementedError

    def start(self, encoded: Tensor, num_frames: Tensor) -> StepState:
        """See :class:`asrkd.models.stepwise.Stepwise`."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """See :class:`asrkd.models.stepwise.Stepwise`."""
        raise NotImplementedError


def told(tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """What goes into a decoder, (S, U + 1): the boundary and ``tokens`` (S, U), boundaries for padding.

    ``num_tokens`` (S,) says how many of them are real.
    """
    real = zero_padding(tokens, frame_mask(num_tokens, tokens.shape[1]))  # BOUNDARY is 0
    return nn.functional.pad(real, (1, 0), value=BOUNDARY)


def expected(tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """What is to come out, (S, U + 1): ``tokens`` (S, U), and boundaries from the end on.

    ``num_tokens`` (S,) says where the end of each is.
    """
    real = zero_padding(tokens, frame_mask(num_tokens, tokens.shape[1]))
    return nn.functional.pad(real, (0, 1), value=BOUNDARY)


def in_float32(logits: Tensor) -> Tensor:
    """Log-probabilities (..., V) in nats, float32, of logits (..., V) in any precision."""
    return logits.float().log_softmax(dim=-1)
