"""Input and output of every search: encoder outputs, and hypotheses with their scores.

Notation: N utterances, T encoder frames after padding, V tokens, D size of an encoder frame.
"""

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from asrkd.data.tokens import BLANK_ID
from asrkd.models.stepwise import Stepwise
from asrkd.models.transducer import Transducer


@dataclass(frozen=True)
class EncoderOutputs:
    """Encoder outputs of a batch, and the models that a search evaluates; padding may hold anything."""

    num_frames: Tensor  # (N,) encoder frames
    log_probs: Tensor | None = None  # (N, T, V) of the CTC head, in nats; None without a CTC head
    encoded: Tensor | None = None  # (N, T, D) that the decoder or the transducer reads
    decoder: Stepwise | None = None  # attention decoder
    lm: Stepwise | None = None  # language model over the same tokens
    transducer: Transducer | None = None
    silent: tuple[int, ...] = (BLANK_ID,)  # tokens that a transducer search does not emit

    def __len__(self) -> int:
        return len(self.num_frames)

    def for_ctc(self) -> Tensor:
        """Return the log-probabilities (N, T, V); ValueError without a CTC head."""
        if self.log_probs is None:
            raise ValueError("this search needs a CTC head; see find_search")
        return self.log_probs

    def for_decoder(self) -> tuple[Stepwise, Tensor]:
        """Return the decoder and its memory (N, T, D); ValueError without a decoder."""
        if self.decoder is None or self.encoded is None:
            raise ValueError("this search needs an attention decoder; see find_search")
        return self.decoder, self.encoded

    def for_transducer(self) -> tuple[Transducer, Tensor]:
        """Return the transducer and its encoder frames (N, T, D); ValueError without a transducer."""
        if self.transducer is None or self.encoded is None:
            raise ValueError("this search needs a transducer; see find_search")
        return self.transducer, self.encoded


@dataclass(frozen=True)
class Hypothesis:
    """Token sequence of an utterance, with its log-probability.

    ``parts`` may hold "ctc", "attention" and "lm", each the exact
    log-probability in nats of the whole hypothesis with its end under that
    model, and "length", its number of tokens.
    """

    tokens: tuple[int, ...]  # token ids, no blanks
    log_prob: float  # log P(tokens | audio) in nats under the acoustic models; -inf where impossible
    score: float = math.nan  # rank criterion, higher is better; by default log_prob
    parts: Mapping[str, float] = field(default_factory=dict, hash=False)
    # Encoder frame that emitted each token, from 0, never falling; None where the search has no alignment, or
    # for hypotheses after the best.
    frames: tuple[int, ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if math.isnan(self.score):
            object.__setattr__(self, "score", self.log_prob)


class Finished:
    """N-best list of ended hypotheses, by falling score, equal ones by their tokens."""

    def __init__(self, num_best: int) -> None:
        """Create an empty list of at most ``num_best``."""
        self.num_best = num_best
        self.best: list[Hypothesis] = []

    @property
    def worst(self) -> float:
        """The score that a hypothesis must reach to be added; -inf while there is room."""
        return self.best[-1].score if len(self.best) == self.num_best else float("-inf")

    def offer(self, hypothesis: Hypothesis) -> None:
        """Add a new hypothesis if its score is among the best."""
        insort(self.best, hypothesis, key=lambda ended: (-ended.score, ended.tokens))
        del self.best[self.num_best :]
