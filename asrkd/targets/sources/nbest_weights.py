"""Weights of the hypotheses of a cut, from their stored scores and word errors.

Seq-KD (Mun'im, Inoue and Shinoda, arXiv:1811.04531, section 2) states no
weights: the k best count equally. ERR-KD (Kim et al., ICASSP 2019) has "an
exponential weight that reflects the word error rate" of the teacher's
hypothesis; its equation could not be read, and the reading here is

    L = -sum_k w_k log P(y_k | x),   w_k = exp(-beta * WER_k) / K,

with word level errors, not clipped, and weights that are not normalized, as
in the poster. Departures: 1/K, so that a list counts as much as a transcript
(without it the learning rate would grow with K); and optional factors:

    posterior   p_k = softmax(log_prob / temperature) over the list in place of 1/K
    rank        r_k = exp(-rank_beta * (k - 1)) / sum of these in place of 1/K; with both, p_k * r_k
    normalized  w_k / sum of the list's w

The list holds the hypotheses among a cut's best ``num_hypotheses`` that pass the filters.
"""

import math
from collections.abc import Sequence

from asrkd.targets.sources.settings import WeightSettings

BINS = 10  # bins of the histogram: (0, .1], (.1, .2], ... (.9, 1)


def list_weights(
    log_probs: Sequence[float], wers: Sequence[float] | None, settings: WeightSettings
) -> list[float]:
    """Compute the weights of a cut's hypotheses.

    Args:
        log_probs: log-probability of each hypothesis in nats, best first.
        wers: word error rates, as fractions; None where beta is 0.
        settings: settings of the weights.
    """
    weights = _priors(log_probs, settings)
    if settings.beta > 0:
        assert wers is not None
        factors = [math.exp(-settings.beta * wer) for wer in wers]
        weights = [weight * factor for weight, factor in zip(weights, factors, strict=True)]
    total = sum(weights)
    return [weight / total for weight in weights] if settings.normalized and total > 0 else weights


def posteriors(log_probs: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Compute the share of each hypothesis in the probability of its list, at a ``temperature``."""
    top = max(log_probs)
    if top == -math.inf:
        return [1 / len(log_probs)] * len(log_probs)
    return _shares([math.exp((log_prob - top) / temperature) for log_prob in log_probs])


def _priors(log_probs: Sequence[float], settings: WeightSettings) -> list[float]:
    """Compute the weights without word errors."""
    count = len(log_probs)
    if not settings.posterior and settings.rank_beta is None:
        return [1 / count] * count
    priors = posteriors(log_probs, settings.temperature) if settings.posterior else [1.0] * count
    if settings.rank_beta is None:
        return priors
    ranks = _shares([math.exp(-settings.rank_beta * rank) for rank in range(count)])
    return [prior * rank for prior, rank in zip(priors, ranks, strict=True)]


def _shares(values: Sequence[float]) -> list[float]:
    total = sum(values)
    return [value / total for value in values]


class WeightHistogram:
    """Histogram of the weights of hypotheses, each multiplied by the length of its list."""

    def __init__(self) -> None:
        """Create empty bins."""
        self.counts = [0] * (BINS + 1)  # the last bin: 1 or more
        self.total = 0.0

    def add(self, weights: Sequence[float]) -> None:
        """Count a list's weights, each times the length of the list: Seq-KD's is 1."""
        for weight in weights:
            value = weight * len(weights)
            self.total += value
            self.counts[BINS if value > 1 - 1e-9 else max(math.ceil(value * BINS) - 1, 0)] += 1

    @property
    def num_hypotheses(self) -> int:
        """Number of counted hypotheses."""
        return sum(self.counts)

    def shares(self) -> list[float]:
        """Return the shares of the bins (0, .1], ..., (.9, 1), and of 1 or more."""
        return [count / max(self.num_hypotheses, 1) for count in self.counts]

    def text(self) -> str:
        """Return a human-readable line."""
        names = [f"to .{n + 1}" for n in range(BINS - 1)] + ["below 1", "1 or more"]
        bins = [f"{name} {share:.0%}" for name, share in zip(names, self.shares(), strict=True) if share]
        return (
            f"weights of {self.num_hypotheses} hypotheses, relative to Seq-KD: mean "
            f"{self.total / max(self.num_hypotheses, 1):.3f}; {', '.join(bins)}"
        )
