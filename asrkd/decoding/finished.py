"""The best hypotheses of an utterance that have ended, while others are still searched."""

from bisect import insort

from asrkd.decoding.hypothesis import Hypothesis


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
