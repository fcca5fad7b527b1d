"""Models that are asked for one token at a time: attention decoders and language models alike.

Letters: N utterances, B token sequences (one or several an utterance), T
encoder frames, D their size, V tokens."""

from typing import Protocol

from torch import Tensor

# Entry 0 of every inventory is CTC's blank, which no text is encoded to, so decoders have it for the
# boundary: it goes in as the start of a sentence and comes out as its end.
BOUNDARY = 0


class StepState(Protocol):
    """What a stepwise model remembers of B token sequences."""

    def take(self, places: Tensor) -> "StepState":
        """The states of the sequences at ``places`` (B',) int64, which may repeat."""
        ...


class Stepwise(Protocol):
    """A model that gives log P(next token | tokens so far, audio), one token at a time."""

    def start(self, encoded: Tensor, num_frames: Tensor) -> StepState:
        """The state before the first token.

        Args:
            encoded: (N, T, D); frames beyond ``num_frames`` may hold anything. A
                language model looks at N and the device alone.
            num_frames: (N,).
        """
        ...

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """Append a token to each sequence.

        Args:
            tokens: (B,) just appended; BOUNDARY at first.
            state: of the B sequences before it.

        Returns:
            (B, V) log-probabilities of the next token in nats, float32, and the state after it.
        """
        ...
