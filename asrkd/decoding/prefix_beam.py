"""CTC prefix beam search for a batch of utterances, in plain tensor operations.

Source: Graves and Jaitly, "Toward End-to-End Speech Recognition with
Recurrent Neural Networks", ICML 2014, algorithm 1, and Hannun et al.,
arXiv:1408.2873, whose two sums per prefix (ending in blank or not) it keeps.

Departures: no language model (:mod:`asrkd.decoding.searches` has it rank what
is in the beam anew); the scores returned are exact, the beam's own
miss the alignments that it pruned; the greedy hypothesis is always among the
candidates, so that no beam does worse than none.

Letters: N utterances, T frames after padding, V symbols with blank at 0,
B prefixes in the beam, K tokens that a frame may append.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asrkd.decoding import prefix_beam_state
from asrkd.decoding.ctc_score import BLANK, checked_lengths, rank, real_frames
from asrkd.decoding.greedy import greedy_search
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.prefix_beam_state import FrameTokens

History = tuple[NDArray[np.int64], NDArray[np.int64]]  # sources and appended tokens, each (T, N, B)
Searched = tuple[History, NDArray[np.bool_]]  # and which places are possible in the end, (N, B)


def search(log_probs: Tensor, num_frames: Tensor, options: SearchOptions) -> list[list[Hypothesis]]:
    """:func:`prefix_beam_search` as one of the searches, raising what that raises.

    ``log_probs`` are (N, T, V) in nats, ``num_frames`` (N,).
    """
    return prefix_beam_search(
        log_probs,
        num_frames,
        beam=options.beam,
        num_best=options.num_best,
        max_tokens_per_frame=options.max_tokens_per_frame,
    )


@torch.no_grad()
def prefix_beam_search(
    log_probs: Tensor,
    num_frames: Tensor,
    *,
    beam: int,
    num_best: int,
    max_tokens_per_frame: int | None = None,
) -> list[list[Hypothesis]]:
    """Per utterance, the likeliest hypotheses that a beam finds.

    Args:
        log_probs: shape (N, T, V), log-softmax in nats; padding may hold anything.
        num_frames: shape (N,), integer; real frames per utterance, 0..T.
        beam: prefixes kept at each frame, >= 1.
        num_best: hypotheses returned per utterance at most, >= 1.
        max_tokens_per_frame: only this many of a frame's likeliest tokens
            may be appended to a prefix, >= 1; None is all.

    Returns:
        N lists of 1..``num_best`` different hypotheses, by falling exact
        log-probability, equal ones by their tokens. Neither padding nor
        neighbors in the batch matter.

    Raises:
        ValueError: shapes that do not fit together, or an option below 1.
        AsrkdError: a real frame holds NaN.
    """
    limit = log_probs.shape[-1] if max_tokens_per_frame is None else max_tokens_per_frame
    if min(beam, num_best, limit) < 1:
        raise ValueError(f"options below 1: {beam=}, {num_best=}, {max_tokens_per_frame=}")
    lengths = checked_lengths(log_probs, num_frames)
    prefixes = _prefixes(_probabilities(log_probs, lengths), beam, limit)
    greedy = greedy_search(log_probs, num_frames)
    found = zip(log_probs, lengths, prefixes, greedy, strict=True)
    return [
        rank(frames[:length], [*in_beam, tuple(best_path)], num_best)
        for frames, length, in_beam, best_path in found
    ]


def _probabilities(log_probs: Tensor, lengths: list[int]) -> Tensor:
    """As probabilities, float64, cut to the longest; padding is certain blanks, which change nothing."""
    longest = max(lengths, default=0)
    silence = torch.zeros(log_probs.shape[2:], dtype=torch.float64, device=log_probs.device)
    silence[BLANK] = 1.0
    real = real_frames(log_probs, lengths)[:, :longest, None]
    return torch.where(real, log_probs[:, :longest].double().exp(), silence)


def _prefixes(frames: Tensor, beam: int, limit: int) -> list[list[tuple[int, ...]]]:
    """Per utterance, the possible prefixes that are in the beam after the last frame.

    Args:
        frames: (N, T, V) probabilities.
        beam: B.
        limit: tokens of a frame, the likeliest, that may be appended.
    """
    # At most B of a prefix's extensions get into the beam, at most B - 1 are in it as prefixes already, and
    # one is less likely than its token, which repeats: so none is of a token beyond the 2 B likeliest.
    likeliest = frames[:, :, 1:].topk(min(limit, frames.shape[2] - 1), dim=2).indices + 1
    tokens, allowed = likeliest[:, :, : 2 * beam], None
    if limit < frames.shape[2] - 1:
        allowed = torch.zeros_like(frames, dtype=torch.bool).scatter_(2, likeliest, True)
    find = _compiled() if frames.device.type == "cpu" else None
    history, possible = (find or search_frames)(frames, tokens, allowed, beam)
    paths = _trace_back(*history)  # (T, N, B)
    return [
        [tuple(path[path != BLANK].tolist()) for path in paths[:, n, possible[n]].T]
        for n in range(len(frames))
    ]


def search_frames(frames: Tensor, tokens: Tensor, allowed: Tensor | None, beam: int) -> Searched:
    """All frames, in torch; :func:`asrkd.decoding.prefix_beam_numba.search_frames` gives the same.

    Args:
        frames: (N, T, V) probabilities, float64.
        tokens: (N, T, K) int64, different tokens of each frame, the likeliest first.
        allowed: (N, T, V) bool, tokens that may be appended; None: all.
        beam: B.

    Returns:
        For each frame, where each prefix comes from and what it appended,
        both (T, N, B) int64; which places are possible in the end, (N, B) bool.
    """
    num_utterances, num_frames, _ = frames.shape
    state = prefix_beam_state.start(num_utterances, beam, frames.device)
    history = torch.empty((2, num_frames, num_utterances, beam), dtype=torch.int64, device=frames.device)
    for t in range(num_frames):
        own = FrameTokens(tokens[:, t], None if allowed is None else allowed[:, t])
        state, history[0, t], history[1, t] = prefix_beam_state.advance(state, frames[:, t], own)
        state = prefix_beam_state.rescaled(state)
    source, appended = history.cpu().numpy()
    return (source, appended), (state.total > 0).cpu().numpy()


@lru_cache(maxsize=1)
def _compiled() -> Callable[[Tensor, Tensor, Tensor | None, int], Searched] | None:
    try:
        from asrkd.decoding import prefix_beam_numba
    except (ImportError, RuntimeError):  # without numba, or without a folder for what it compiles
        return None
    return prefix_beam_numba.search_frames


def _trace_back(source: NDArray[np.int64], appended: NDArray[np.int64]) -> NDArray[np.int64]:
    """What each final place of the beam appended at each frame, BLANK for nothing.

    Args:
        source: shape (T, N, B), the place at the frame before.
        appended: shape (T, N, B), the token appended by the one now there.

    Returns:
        Shape (T, N, B), the last axis being the places after the last frame.
    """
    num_frames, num_utterances, beam = source.shape
    rows = np.arange(num_utterances)[:, None]
    place = np.broadcast_to(np.arange(beam), (num_utterances, beam))
    paths = np.empty_like(appended)
    for t in reversed(range(num_frames)):
        paths[t] = appended[t][rows, place]
        place = source[t][rows, place]
    return paths
