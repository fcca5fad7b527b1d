"""Scores of hypotheses under decoders and language models, and bounds of the scores of prefixes.

Notation: P parts (the decoder, a language model), L tokens without the end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from asrkd.decoding.options import DecoderOptions


def norm(lengths: Tensor, options: DecoderOptions) -> Tensor:
    """Return the divisor of the scores of hypotheses by their lengths; see :class:`DecoderOptions`.

    Args:
        lengths: numbers of tokens without the end, of any shape.
        options: choice of norm.

    Returns:
        Divisors of the shape of ``lengths``, float64, at least 1.
    """
    factors = lengths.double() + 1
    if options.length_norm == "length":
        return factors
    if options.length_norm == "gnmt":
        return ((5 + factors) / 6) ** options.alpha
    return torch.ones_like(factors)


def weighted(sums: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the weighted sum (...) of the P parts' log-probabilities, (P, ...) in nats.

    As weights are positive and log-probabilities are not, it never rises when
    a token is appended, not even by rounding.
    """
    total = sums[0] * weights[0]
    for part, weight in zip(sums[1:], weights[1:], strict=True):
        total = total + part * weight
    return total


def score(total: Tensor, lengths: Tensor, options: DecoderOptions) -> Tensor:
    """Compute the score of ended hypotheses.

    Args:
        total: (...) result of :func:`weighted`, with the end, in nats.
        lengths: (...) numbers of tokens without the end; of a shape that broadcasts with ``total``.
        options: bonus and norm.

    Returns:
        Scores (...) of the broadcast shape, float64.
    """
    return (total + options.token_bonus * lengths.double()) / norm(lengths, options)


def highest_score(total: Tensor, length: int, max_tokens: Tensor, options: DecoderOptions) -> Tensor:
    """Return an upper bound of the scores of all hypotheses with these prefixes.

    Args:
        total: (A,) result of :func:`weighted` for the prefixes.
        length: tokens of the prefixes.
        max_tokens: (A,) limit of a hypothesis's tokens, at least ``length``.
        options: bonus and norm.

    Returns:
        (A,) float64: the score with a certain continuation of the best length.
    """
    lengths = torch.arange(length, int(max_tokens.max()) + 1, device=total.device)
    reachable = score(total[:, None], lengths, options)  # (A, lengths)
    return reachable.masked_fill(lengths > max_tokens[:, None], -torch.inf).amax(dim=1)
