"""CTC prefix beam search for a batch of utterances, in plain tensor operations.

Source: Graves and Jaitly, "Toward End-to-End Speech Recognition with
Recurrent Neural Networks", ICML 2014, algorithm 1, and Hannun et al.,
arXiv:1408.2873, whose two sums per prefix (ending in blank or not) it keeps.

Departures: a language model ranks the beam after the last frame, and does not
guide the search; the scores returned are exact, while the beam's sums lack the
alignments that it pruned; the greedy hypothesis is always a candidate, so that
no beam does worse than greedy search.

Notation: N utterances, T frames after padding, V symbols with blank at 0,
B prefixes in the beam, K tokens that a frame may append.
"""

from functools import lru_cache
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asrkd.data.tokens import BLANK_ID
from asrkd.decoding import prefix_beam_state
from asrkd.decoding.best_alignment import with_frames
from asrkd.decoding.ctc_score import checked_lengths, rank
from asrkd.decoding.greedy import ctc_best_paths
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.prefix_beam_state import FrameTokens
from asrkd.decoding.rescoring import select_best
from asrkd.models.masks import frame_mask


def search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the likeliest hypotheses of each utterance.

    Args:
        inputs: encoder outputs with a CTC head, and perhaps a language model.
        options: beam size, ``num_best`` and ``max_tokens_per_frame``; with a
            language model, its weight and the rules of ranking.

    Returns:
        N lists of 1..``num_best`` different hypotheses, by falling exact
        score, equal ones by their tokens, independent of padding and of the
        other utterances of the batch.

    Raises:
        ValueError: there is no CTC head, or the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    log_probs, num_frames = inputs.for_ctc(), inputs.num_frames
    hypotheses = [
        rank(frames[:length], prefixes, options.beam)
        for frames, length, prefixes in zip(
            log_probs, num_frames.tolist(), candidates(log_probs, num_frames, options), strict=True
        )
    ]
    return with_frames(inputs, select_best(inputs, hypotheses, options))


@torch.no_grad()
def candidates(log_probs: Tensor, num_frames: Tensor, options: SearchOptions) -> list[list[tuple[int, ...]]]:
    """Return each utterance's prefixes in the beam after the last frame, and its greedy hypothesis.

    Args:
        log_probs: shape (N, T, V), log-softmax in nats; padding may hold anything.
        num_frames: shape (N,), integer; real frames per utterance, 0..T.
        options: beam size, and the tokens that a frame may append.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    lengths = checked_lengths(log_probs, num_frames)
    frames, beam = _probabilities(log_probs, lengths), options.beam
    tokens, allowed = _extensions(frames, options)
    compiled = _compiled() if frames.device.type == "cpu" else None
    if compiled is None:
        history, possible = search_frames(frames, tokens, allowed, beam)
    else:
        num_utterances, longest, num_symbols = frames.shape
        history = np.empty((2, longest, num_utterances, beam), np.int64)
        possible = np.empty((num_utterances, beam), np.bool_)
        permitted = torch.ones((1, 1, num_symbols), dtype=torch.bool) if allowed is None else allowed
        arrays = (tensor.contiguous().numpy() for tensor in (frames, tokens, permitted))
        compiled.search_frames(*arrays, history, possible)
    paths = _trace_back(*history)  # (T, N, B)
    return [
        [*(tuple(path[path != BLANK_ID].tolist()) for path in paths[:, n, possible[n]].T), tuple(best_path)]
        for n, best_path in enumerate(ctc_best_paths(log_probs, num_frames))
    ]


def _extensions(frames: Tensor, options: SearchOptions) -> tuple[Tensor, Tensor | None]:
    """Return the tokens that each frame may append, as :func:`search_frames` takes them.

    Args:
        frames: (N, T, V) probabilities, float64.
        options: beam size, and the number of tokens that a frame may append.

    Returns:
        (N, T, K) int64, the likeliest first; and (N, T, V) bool, None if all are allowed.
    """
    # Of a prefix's extensions at most B enter the beam, at most B - 1 are prefixes of the beam already, and
    # one, which repeats the last token, is less likely than its token: only the 2 B likeliest tokens matter.
    num_others = frames.shape[2] - 1
    limit = min(options.max_tokens_per_frame or num_others, num_others)
    likeliest = frames[:, :, 1:].topk(limit, dim=2).indices + 1
    allowed = None
    if limit < num_others:
        allowed = torch.zeros_like(frames, dtype=torch.bool).scatter_(2, likeliest, True)
    return likeliest[:, :, : 2 * options.beam], allowed


def _probabilities(log_probs: Tensor, lengths: list[int]) -> Tensor:
    """Return probabilities, float64, cut to the longest utterance; padding becomes certain blanks."""
    longest = max(lengths, default=0)
    silence = torch.zeros(log_probs.shape[2:], dtype=torch.float64, device=log_probs.device)
    silence[BLANK_ID] = 1.0
    real = frame_mask(torch.tensor(lengths, device=log_probs.device), longest)
    return torch.where(real[..., None], log_probs[:, :longest].double().exp(), silence)


def search_frames(
    frames: Tensor, tokens: Tensor, allowed: Tensor | None, beam: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Search all frames in torch; :func:`asrkd.decoding.prefix_beam_numba.search_frames` is bit-equal.

    Args:
        frames: (N, T, V) probabilities, float64.
        tokens: (N, T, K) int64, different tokens of each frame, the likeliest first.
        allowed: (N, T, V) bool, True at tokens that may be appended; None: all.
        beam: B, number of prefixes in the beam.

    Returns:
        (2, T, N, B) int64, for each frame the source place of each prefix and the
        token that it appended; and (N, B) bool, True at the places in use after
        the last frame.
    """
    num_utterances, num_frames, _ = frames.shape
    state = prefix_beam_state.start(num_utterances, beam, frames.device)
    history = torch.empty((2, num_frames, num_utterances, beam), dtype=torch.int64, device=frames.device)
    for t in range(num_frames):
        frame_tokens = FrameTokens(tokens[:, t], None if allowed is None else allowed[:, t])
        state, history[0, t], history[1, t] = prefix_beam_state.advance(state, frames[:, t], frame_tokens)
        state = prefix_beam_state.rescaled(state)
    return history.cpu().numpy(), (state.total > 0).cpu().numpy()


@lru_cache(maxsize=1)
def _compiled() -> ModuleType | None:
    """Return the engine in machine code; None where numba is missing."""
    try:
        from asrkd.decoding import prefix_beam_numba
    except (ImportError, RuntimeError):  # numba is missing, or has no folder for its cache
        return None
    return prefix_beam_numba


def _trace_back(source: NDArray[np.int64], appended: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the token that each final place of the beam appended at each frame, BLANK_ID for none.

    Args:
        source: shape (T, N, B), the place at the frame before.
        appended: shape (T, N, B), the token appended by the prefix at the place.

    Returns:
        Shape (T, N, B); the last axis is the places after the last frame.
    """
    num_frames, num_utterances, beam = source.shape
    rows = np.arange(num_utterances)[:, None]
    place = np.broadcast_to(np.arange(beam), (num_utterances, beam))
    paths = np.empty_like(appended)
    for t in reversed(range(num_frames)):
        paths[t] = appended[t][rows, place]
        place = source[t][rows, place]
    return paths
