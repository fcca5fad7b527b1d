"""What a search gives: a token sequence and its probability."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hypothesis:
    """One answer of the recogniser to one utterance.

    ``parts`` may hold "ctc", "attention" and "lm", each the exact
    log-probability in nats that such a model gives to the whole hypothesis
    with its end, and "length", its number of tokens.
    """

    tokens: tuple[int, ...]  # token ids, no blanks
    log_prob: float  # log P(tokens | audio) in nats under the model that searched; -inf where impossible
    score: float = math.nan  # what it was ranked by, the higher the better; by default its log_prob
    parts: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if math.isnan(self.score):
            object.__setattr__(self, "score", self.log_prob)
