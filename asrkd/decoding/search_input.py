"""What a recognizer has heard: all that a search may start from.

Letters: N utterances, T encoder frames after padding, V tokens, D size of an encoder frame.
"""

from dataclasses import dataclass

from torch import Tensor

from asrkd.models.stepwise import Stepwise


@dataclass(frozen=True)
class EncoderOutputs:
    """N utterances as a recognizer's parts have them, None for a part it has not; padding may be anything."""

    num_frames: Tensor  # (N,), of the encoder
    log_probs: Tensor | None = None  # (N, T, V) of CTC, in nats
    encoded: Tensor | None = None  # (N, T, D), what the decoder attends to
    decoder: Stepwise | None = None
    lm: Stepwise | None = None  # a language model over the same tokens

    def __len__(self) -> int:
        return len(self.num_frames)

    def for_ctc(self) -> Tensor:
        """The log-probabilities (N, T, V); ValueError if there are none."""
        if self.log_probs is None:
            raise ValueError("this search needs a CTC head; see find_search")
        return self.log_probs

    def for_decoder(self) -> tuple[Stepwise, Tensor]:
        """The decoder and what it attends to, (N, T, D); ValueError if there is none."""
        if self.decoder is None or self.encoded is None:
            raise ValueError("this search needs an attention decoder; see find_search")
        return self.decoder, self.encoded
