"""What a search gives: a token sequence and its probability."""

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hypothesis:
    """One answer of the recognizer to one utterance.

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


class Finished:
    """At most ``num_best`` hypotheses, by falling score, equal ones by their tokens."""

    def __init__(self, num_best: int) -> None:
        """Begin with none."""
        self.num_best = num_best
        self.best: list[Hypothesis] = []

    @property
    def worst(self) -> float:
        """The score that a hypothesis must reach to be taken; -inf while there is room."""
        return self.best[-1].score if len(self.best) == self.num_best else float("-inf")

    def offer(self, hypothesis: Hypothesis) -> None:
        """Take a hypothesis that was not offered before, if it is good enough."""
        insort(self.best, hypothesis, key=lambda own: (-own.score, own.tokens))
        del self.best[self.num_best :]
