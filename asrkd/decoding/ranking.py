"""The score that hypotheses of a decoder are ranked by, and how high it can still get.

Letters: P parts (the decoder, a language model), L tokens without the end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from asrkd.decoding.options import DecoderOptions


def norm(lengths: Tensor, options: DecoderOptions) -> Tensor:
    """What the score of hypotheses of so many tokens is divided by: see :class:`DecoderOptions`.

    Args:
        lengths: any shape, tokens without the end.
        options: which norm.

    Returns:
        The shape of ``lengths``, float64, at least 1.
    """
    factors = lengths.double() + 1
    if options.length_norm == "length":
        return factors
    if options.length_norm == "gnmt":
        return ((5 + factors) / 6) ** options.alpha
    return torch.ones_like(factors)


def weighted(sums: Tensor, weights: Sequence[float]) -> Tensor:
    """Log-probabilities of the P parts, (P, ...) in nats, as one: their weighted sum, (...).

    As weights are positive and log-probabilities are not, it never rises when
    a token is appended, not by a rounding either.
    """
    total = sums[0] * weights[0]
    for part, weight in zip(sums[1:], weights[1:], strict=True):
        total = total + part * weight
    return total


def score(total: Tensor, lengths: Tensor, options: DecoderOptions) -> Tensor:
    """The score of ended hypotheses.

    Args:
        total: (...) of :func:`weighted` with the end, in nats.
        lengths: (...) tokens without the end; of a shape that broadcasts with ``total``.
        options: bonus and norm.

    Returns:
        (...) float64, the shape that both broadcast to.
    """
    return (total + options.token_bonus * lengths.double()) / norm(lengths, options)


def highest_score(total: Tensor, length: int, most_tokens: Tensor, options: DecoderOptions) -> Tensor:
    """The score that no hypothesis that begins so can exceed, whatever follows.

    Args:
        total: (A,), of :func:`weighted`, of beginnings.
        length: tokens of these beginnings.
        most_tokens: (A,), that hypotheses may have, at least ``length``.
        options: bonus and norm.

    Returns:
        (A,) float64: the score if all that follows were certain, at the length that suits it best.
    """
    lengths = torch.arange(length, int(most_tokens.max()) + 1, device=total.device)
    reachable = score(total[:, None], lengths, options)  # (A, lengths)
    return reachable.masked_fill(lengths > most_tokens[:, None], -torch.inf).amax(dim=1)
