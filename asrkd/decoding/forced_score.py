"""Exact log-probabilities of token sequences under a stepwise model, by teacher forcing in one batch.

Notation: N utterances, S sequences of all utterances, U tokens of the longest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrkd.models.stepwise import BOUNDARY, StepState, Stepwise


@torch.no_grad()
def forced_log_prob(
    model: Stepwise, encoded: Tensor, num_frames: Tensor, hypotheses: Sequence[Sequence[Sequence[int]]]
) -> list[list[float]]:
    """Compute the log-probability of each hypothesis with its end, in nats.

    Args:
        model: attention decoder, or language model.
        encoded: (N, T, D) encoder frames; padding may hold anything.
        num_frames: (N,) encoder frames, at least 1 each.
        hypotheses: any number of token sequences for each utterance, without the boundary.

    Returns:
        N lists of sums in float64; -inf where a token is impossible.

    Raises:
        ValueError: the number of lists is not N, or the tokens hold a boundary.
    """
    if len(hypotheses) != len(num_frames):
        raise ValueError(f"{len(hypotheses)} lists of hypotheses for {len(num_frames)} utterances")
    flat = [(row, list(tokens)) for row, paths in enumerate(hypotheses) for tokens in paths]
    if any(BOUNDARY in tokens for _, tokens in flat):
        raise ValueError(f"token {BOUNDARY} is the boundary, expected hypotheses without it")
    if not flat:
        return [[] for _ in hypotheses]
    # Sort by falling length, so that the sequences of more than u tokens are always the first ones.
    order = sorted(range(len(flat)), key=lambda place: -len(flat[place][1]))
    utterance = torch.tensor([flat[place][0] for place in order], device=encoded.device)
    state = model.start(encoded, num_frames).take(utterance)
    paths = [torch.tensor([BOUNDARY, *flat[place][1], BOUNDARY], device=encoded.device) for place in order]
    by_place = dict(zip(order, _totals(model, state, paths).tolist(), strict=True))
    scores: list[list[float]] = [[] for _ in hypotheses]
    for place, (row, _) in enumerate(flat):
        scores[row].append(by_place[place])
    return scores


def _totals(model: Stepwise, state: StepState, paths: Sequence[Tensor]) -> Tensor:
    """Compute the log-probability of each path after its first token, (S,) float64.

    Args:
        model: stepwise model.
        state: state of the S sequences before their first tokens.
        paths: tokens of each with both boundaries, by falling length.
    """
    padded = pad_sequence(list(paths), batch_first=True)  # (S, U + 2)
    totals = torch.zeros(len(paths), dtype=torch.float64, device=padded.device)
    left = len(paths)
    for place in range(padded.shape[1] - 1):
        if len(paths[left - 1]) <= place + 1:
            left = sum(len(path) > place + 1 for path in paths)
            state = state.take(torch.arange(left, device=padded.device))
        log_probs, state = model.step(padded[:left, place], state)
        totals[:left] += log_probs.gather(1, padded[:left, place + 1, None])[:, 0].double()
    return totals
