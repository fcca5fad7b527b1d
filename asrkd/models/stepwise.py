"""Attention decoders and language models: one token at a time, or teacher-forced over whole sequences.

Notation: N utterances, S or B token sequences (one or several an utterance),
T encoder frames, D their size, U tokens, V tokens of the inventory.
"""

from typing import Protocol

from torch import Tensor, nn

from asrkd.data.tokens import BLANK_ID
from asrkd.models.masks import frame_mask, zero_padding

# The token that starts and ends every sentence. It is the same entry of the inventory as CTC's blank, which
# encoded text never holds.
BOUNDARY = BLANK_ID


class StepState(Protocol):
    """State of a stepwise model after the tokens so far of B sequences."""

    def take(self, places: Tensor) -> "StepState":
        """Select the states of the sequences at ``places`` (B',) int64, which may repeat."""
        ...


class Stepwise(Protocol):
    """Model of log P(next token | tokens so far, audio), evaluated one token at a time."""

    def start(self, encoded: Tensor, num_frames: Tensor) -> StepState:
        """Return the state before the first token.

        Args:
            encoded: (N, T, D) encoder frames; padding may hold anything. A
                language model uses N and the device alone.
            num_frames: (N,) encoder frames.
        """
        ...

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """Append a token to each sequence.

        Args:
            tokens: (B,) tokens to append; BOUNDARY at first.
            state: state of the B sequences before them.

        Returns:
            (B, V) log-probabilities of the next token in nats, float32, and the state after ``tokens``.
        """
        ...


class Decoder(nn.Module):
    """Attention decoder, which is a :class:`Stepwise` model too."""

    def forward(
        self, encoded: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, utterance: Tensor
    ) -> Tensor:
        """Compute the logits of the next token after every prefix of the sequences (teacher forcing).

        Args:
            encoded: (N, T, D) encoder frames; padding may hold anything.
            num_frames: (N,) encoder frames.
            tokens: (S, U) input tokens; padding may hold any token.
            num_tokens: (S,) real tokens.
            utterance: (S,) row of ``encoded`` that each sequence belongs to.

        Returns:
            (S, U + 1, V) logits: position u predicts token u, the position
            after the last token the boundary. Later positions are undefined.
        """
        raise NotImplementedError

    def start(self, encoded: Tensor, num_frames: Tensor) -> StepState:
        """See :meth:`Stepwise.start`."""
        raise NotImplementedError

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """See :meth:`Stepwise.step`."""
        raise NotImplementedError


def decoder_inputs(tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """Return a decoder's inputs, (S, U + 1): the boundary, then ``tokens`` (S, U), padded with the boundary.

    ``num_tokens`` (S,) counts the real ones.
    """
    real = zero_padding(tokens, frame_mask(num_tokens, tokens.shape[1]))  # BOUNDARY is 0
    return nn.functional.pad(real, (1, 0), value=BOUNDARY)


def labels(tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """Return a decoder's labels, (S, U + 1): ``tokens`` (S, U), then the boundary up to the end.

    ``num_tokens`` (S,) counts the real ones.
    """
    real = zero_padding(tokens, frame_mask(num_tokens, tokens.shape[1]))
    return nn.functional.pad(real, (0, 1), value=BOUNDARY)


def in_float32(logits: Tensor) -> Tensor:
    """Return log-probabilities (..., V) in nats, float32, of logits (..., V) in any precision."""
    return logits.float().log_softmax(dim=-1)
