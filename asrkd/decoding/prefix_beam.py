"""CTC prefix beam search for a batch of utterances, in plain tensor operations.

Source: Graves and Jaitly, "Towards End-to-End Speech Recognition with
Recurrent Neural Networks", ICML 2014, algorithm 1, and Hannun et al.,
arXiv:1408.2873, whose two sums per prefix (ending in blank or not) it keeps.

Departures: no language model; the scores returned are exact, the beam's own
miss the alignments that it pruned; the greedy hypothesis is always among the
candidates, so that no beam does worse than none.

Letters: N utterances, T frames after padding, V symbols with blank at 0,
B prefixes in the beam, K tokens that a frame may append.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asrkd.decoding import beam_state
from asrkd.decoding.ctc_score import rank
from asrkd.decoding.greedy import greedy_search
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.log_probs import BLANK, checked_lengths, real_frames
from asrkd.decoding.search_options import SearchOptions


def search(log_probs: Tensor, num_frames: Tensor, options: SearchOptions) -> list[list[Hypothesis]]:
    """:func:`prefix_beam_search` as one of the searches; (N, T, V) log_probs in nats, (N,) num_frames."""
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
        neighbours in the batch matter.

    Raises:
        ValueError: shapes that do not fit together, or an option below 1.
        AsrkdError: a real frame holds NaN.
    """
    limit = log_probs.shape[-1] if max_tokens_per_frame is None else max_tokens_per_frame
    if min(beam, num_best, limit) < 1:
        raise ValueError(f"options below 1: {beam=}, {num_best=}, {max_tokens_per_frame=}")
    lengths = checked_lengths(log_probs, num_frames)
    prefixes = _prefixes(_with_silent_ends(log_probs, lengths), beam, min(limit, log_probs.shape[-1] - 1))
    greedy = greedy_search(log_probs, num_frames)
    found = zip(log_probs, lengths, prefixes, greedy, strict=True)
    return [
        rank(frames[:length], [*in_beam, tuple(best_path)], num_best)
        for frames, length, in_beam, best_path in found
    ]


def _with_silent_ends(log_probs: Tensor, lengths: list[int]) -> Tensor:
    """The same in float64, cut to the longest; padding becomes certain blanks, which change no total."""
    longest = max(lengths, default=0)
    silence = torch.full(log_probs.shape[2:], -torch.inf, dtype=torch.float64, device=log_probs.device)
    silence[BLANK] = 0.0
    real = real_frames(log_probs, lengths)[:, :longest, None]
    return torch.where(real, log_probs[:, :longest].double(), silence)


def _prefixes(log_probs: Tensor, beam: int, num_tokens: int) -> list[list[tuple[int, ...]]]:
    """Per utterance, the possible prefixes that are in the beam after the last frame."""
    num_utterances, num_frames, _ = log_probs.shape
    tokens = log_probs[:, :, 1:].topk(num_tokens, dim=2).indices + 1  # (N, T, K)
    state = beam_state.start(num_utterances, beam, log_probs.device)
    history = torch.empty((2, num_frames, num_utterances, beam), dtype=torch.int64, device=log_probs.device)
    for t in range(num_frames):
        state, history[0, t], history[1, t] = beam_state.advance(state, log_probs[:, t], tokens[:, t])
    possible = torch.isfinite(state.total).cpu().numpy()  # (N, B)
    source, appended = history.cpu().numpy()
    paths = _trace_back(source, appended)  # (T, N, B)
    return [
        [tuple(path[path != BLANK].tolist()) for path in paths[:, n, possible[n]].T]
        for n in range(num_utterances)
    ]


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
