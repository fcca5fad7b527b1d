"""Best alignment of token sequences under CTC: the frame that emits each token.

Source: the Viterbi recursion over the states of CTC, blanks between tokens and
at both ends: Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 4.1, with the maximum in place of the sum.

Notation: N utterances, T frames after padding, V symbols with blank at 0,
S = 2 U + 1 states of the longest sequence of U tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
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
    scores = log_probs.gather(2, states[:, None].expand(-1, log_probs.shape[1], -1)).double()  # (N, T, S)
    ends = [2 * len(tokens) for tokens in sequences]
    steps, totals = _forward(scores, skips)
    return [_first_frames(steps[:, row], totals[:, row], lengths[row], end) for row, end in enumerate(ends)]


def _states(sequences: Sequence[tuple[int, ...]]) -> Tensor:
    """Return the symbols of the states, (N, S): tokens with blanks between and around them."""
    width = 2 * max((len(tokens) for tokens in sequences), default=0) + 1
    states = torch.full((len(sequences), width), BLANK_ID)
    for row, tokens in enumerate(sequences):
        states[row, 1 : 2 * len(tokens) : 2] = torch.tensor(tokens, dtype=torch.long)
    return states


def _forward(scores: Tensor, skips: Tensor) -> tuple[Tensor, Tensor]:
    """Run the recursion over scores (N, T, S).

    Returns:
        (T, N, S) how many states the best alignment came from below, 0 to 2, and its log-probability.
    """
    num, num_frames, width = scores.shape
    totals = scores.new_empty((num_frames, num, width))
    steps = torch.zeros((num_frames, num, width), dtype=torch.long, device=scores.device)
    nothing = scores.new_full((num, 2), -torch.inf)
    for t in range(num_frames):
        if t == 0:
            before = scores.new_full((num, width), -torch.inf)
            before[:, :2] = 0.0
        else:
            padded = torch.cat([nothing, totals[t - 1]], dim=1)
            over = padded[:, :-2].masked_fill(~skips, -torch.inf)
            before, steps[t] = torch.stack([padded[:, 2:], padded[:, 1:-1], over]).max(dim=0)
        totals[t] = before + scores[:, t]
    return steps.cpu(), totals.cpu()


def _first_frames(steps: Tensor, totals: Tensor, num_frames: int, end: int) -> tuple[int, ...] | None:
    """Trace the best alignment of one utterance back from its end.

    Args:
        steps: (T, S) of :func:`_forward`.
        totals: (T, S) likewise.
        num_frames: real frames.
        end: the state of the last blank.
    """
    if num_frames == 0:
        return () if end == 0 else None
    last = totals[num_frames - 1]
    state = end if end == 0 or bool(last[end] >= last[end - 1]) else end - 1
    if last[state] == -torch.inf:
        return None
    first = [0] * (end // 2)
    trace = steps.tolist()
    for t in reversed(range(num_frames)):
        if state % 2:
            first[state // 2] = t
        state -= trace[t][state]
    return tuple(first)
