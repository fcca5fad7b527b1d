"""The tokens that a recogniser has at once, without a beam: for validation, and for measuring costs.

Letters: N utterances, T encoder frames, D their size, V tokens.
"""

import torch
from torch import Tensor

from asrkd.decoding.greedy import greedy_search
from asrkd.models.boundary import BOUNDARY
from asrkd.models.recogniser import Recogniser, RecogniserOutput
from asrkd.models.stepwise import Stepwise


def quick_tokens(recogniser: Recogniser, output: RecogniserOutput) -> list[list[int]]:
    """Per utterance, the token ids that its decoder, or else its CTC head, finds likeliest one by one.

    Args:
        recogniser: whose decoder is asked, if it has one.
        output: of it, for N utterances.

    Raises:
        AsrkdError: a CTC head gives NaN for a real frame.
    """
    if recogniser.decoder is None:
        return greedy_search(output.log_probs(), output.num_frames)
    return stepwise_greedy(recogniser.decoder, output.memory(), output.num_frames)


@torch.no_grad()
def stepwise_greedy(decoder: Stepwise, encoded: Tensor, num_frames: Tensor) -> list[list[int]]:
    """Per utterance, the likeliest token after each other, until the boundary is the likeliest.

    Args:
        decoder: V tokens.
        encoded: (N, T, D), what it attends to; padding may hold anything.
        num_frames: (N,), also the most tokens that an utterance may have.
    """
    found: list[list[int]] = [[] for _ in num_frames]
    going = (num_frames > 0).nonzero().flatten()  # utterances that have not ended
    state = decoder.start(encoded, num_frames).take(going)
    tokens = torch.full_like(going, BOUNDARY)
    while len(going):
        log_probs, state = decoder.step(tokens, state)
        tokens = log_probs.argmax(dim=-1)
        for row, token in zip(going.tolist(), tokens.tolist(), strict=True):
            found[row] += [token] if token != BOUNDARY else []
        lengths = torch.tensor([len(found[row]) for row in going.tolist()], device=going.device)
        keep = ((tokens != BOUNDARY) & (lengths < num_frames[going])).nonzero().flatten()
        if len(keep) < len(going):
            going, tokens, state = going[keep], tokens[keep], state.take(keep)
    return found
