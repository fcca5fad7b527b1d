"""Best alignment of token sequences under CTC: the frame that emits each token.

Source: the Viterbi recursion over the states of CTC, blanks between tokens and
at both ends: Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 4.1, with the maximum in place of the sum.

Notation: N utterances, T frames after padding, V symbols with blank at 0,
S = 2 U + 1 states of the longest sequence of U tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asrkd.data.tokens import BLANK_ID
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis


def with_frames(inputs: EncoderOutputs, lists: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
    """Return the lists of hypotheses, the best of each with the frames of its best alignment.

    Args:
        inputs: encoder outputs with a CTC head.
        lists: hypotheses of each utterance, best first, at least one.
    """
    frames = aligned_frames(inputs.for_ctc(), inputs.num_frames, [best[0].tokens for best in lists])
    return [
        [replace(hypotheses[0], frames=of_best), *hypotheses[1:]]
        for hypotheses, of_best in zip(lists, frames, strict=True)
    ]


@torch.no_grad()
def aligned_frames(
    log_probs: Tensor, num_frames: Tensor, sequences: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...] | None]:
    """Find the first frame of each token in the likeliest alignment of its sequence.

    Args:
        log_probs: (N, T, V) in nats, without NaN in real frames; padding may hold anything.
        num_frames: (N,) real frames.
        sequences: tokens of each utterance, without blanks.

    Returns:
        A frame for each token; None for a sequence without a possible alignment.
    """
    lengths = num_frames.tolist()
    states = _states(sequences).to(log_probs.device)  # (N, S)
    skips = torch.zeros_like(states, dtype=torch.bool)  # states that are reached over a blank
    skips[:, 2:] = (states[:, 2:] != BLANK_ID) & (states[:, 2:] != states[:, :-2])
    ends = [2 * len(tokens) for tokens in sequences]
    steps, lasts = _forward(log_probs, states, skips, lengths)
    return [_first_frames(steps[: lengths[row], row], lasts[row], end) for row, end in enumerate(ends)]


def _states(sequences: Sequence[tuple[int, ...]]) -> Tensor:
    """Return the symbols of the states, (N, S): tokens with blanks between and around them."""
    width = 2 * max((len(tokens) for tokens in sequences), default=0) + 1
    states = torch.full((len(sequences), width), BLANK_ID)
    for row, tokens in enumerate(sequences):
        states[row, 1 : 2 * len(tokens) : 2] = torch.tensor(tokens, dtype=torch.long)
    return states


def _forward(
    log_probs: Tensor, states: Tensor, skips: Tensor, lengths: Sequence[int]
) -> tuple[NDArray[np.int8], list[list[float]]]:
    """Run the recursion, a frame at a time: a byte for each frame and state is all that is kept.

    Args:
        log_probs: (N, T, V) in nats.
        states: (N, S) symbols.
        skips: (N, S) bool, True at states that are reached over a blank.
        lengths: real frames of each utterance.

    Returns:
        (T, N, S) how many states the best alignment came from below, 0 to 2; and the log-probabilities (S) of
        the best alignments that end in each state, after the last frame of each utterance.
    """
    (num, width), longest = states.shape, max(lengths, default=0)
    steps = np.zeros((longest, num, width), np.int8)
    lasts: list[list[float]] = [[] for _ in lengths]
    totals = torch.full((num, width), -torch.inf, dtype=torch.float64, device=log_probs.device)
    nothing = totals.new_full((num, 2), -torch.inf)
    for t in range(longest):
        if t == 0:
            before = totals.clone()
            before[:, :2] = 0.0
        else:
            padded = torch.cat([nothing, totals], dim=1)
            over = padded[:, :-2].masked_fill(~skips, -torch.inf)
            before, came = torch.stack([padded[:, 2:], padded[:, 1:-1], over]).max(dim=0)
            steps[t] = came.cpu().numpy()
        totals = before + log_probs[:, t].gather(1, states).double()
        for row in [row for row, length in enumerate(lengths) if length == t + 1]:
            lasts[row] = totals[row].tolist()
    return steps, lasts


def _first_frames(steps: NDArray[np.int8], last: Sequence[float], end: int) -> tuple[int, ...] | None:
    """Trace the best alignment of one utterance back from its end.

    Args:
        steps: (T, S) of :func:`_forward`, of the real frames.
        last: (S) log-probabilities after the last of them; empty without a frame.
        end: the state of the last blank.
    """
    if not len(last):
        return () if end == 0 else None
    state = end if end == 0 or last[end] >= last[end - 1] else end - 1
    if last[state] == -math.inf:
        return None
    first = [0] * (end // 2)
    for t in reversed(range(len(steps))):
        if state % 2:
            first[state // 2] = t
        state -= int(steps[t, state])
    return tuple(first)
