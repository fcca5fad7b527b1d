"""The tokens of the single likeliest alignment: quick, and without a beam.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 3.2 (best path decoding).

Letters: N utterances, T frames after padding, V symbols with blank at 0.
"""

import torch
from torch import Tensor

from asrkd.decoding.ctc_score import rank
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.log_probs import BLANK, checked_lengths
from asrkd.decoding.search_options import SearchOptions


def greedy_search(log_probs: Tensor, num_frames: Tensor) -> list[list[int]]:
    """Per utterance, the token ids of its likeliest alignment.

    Args:
        log_probs: shape (N, T, V), in nats; padding may hold anything.
        num_frames: shape (N,), integer; real frames per utterance, 0..T.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    lengths = checked_lengths(log_probs, num_frames)
    best = log_probs.argmax(dim=2).cpu()  # (N, T)
    runs = [torch.unique_consecutive(symbols[:length]) for symbols, length in zip(best, lengths, strict=True)]
    return [symbols[symbols != BLANK].tolist() for symbols in runs]


def search(log_probs: Tensor, num_frames: Tensor, options: SearchOptions) -> list[list[Hypothesis]]:
    """:func:`greedy_search` as one of the searches: one hypothesis each, with its exact score.

    ``log_probs`` are (N, T, V) in nats, ``num_frames`` (N,); it raises what that raises.

    It keeps a single path, so no option changes its answer.
    """
    found = zip(log_probs, num_frames.tolist(), greedy_search(log_probs, num_frames), strict=True)
    return [rank(frames[:length], [tuple(tokens)], num_best=1) for frames, length, tokens in found]
