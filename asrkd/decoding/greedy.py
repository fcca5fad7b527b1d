"""The tokens of the single likeliest alignment: quick, and without a beam.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 3.2 (best path decoding).

Letters: N utterances, T frames after padding, V symbols with blank at 0.
"""

import torch
from torch import Tensor

from asrkd.decoding.ctc_score import BLANK, checked_lengths, rank
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.models.stepwise import BOUNDARY, Stepwise


def quick_tokens(recognizer: Recognizer, output: RecognizerOutput) -> list[list[int]]:
    """Per utterance, the token ids that its decoder, or else its CTC head, finds likeliest one by one.

    Args:
        recognizer: whose decoder is asked, if it has one.
        output: of it, for N utterances.

    Raises:
        AsrkdError: a CTC head gives NaN for a real frame.
    """
    if recognizer.decoder is None:
        return greedy_search(output.log_probs(), output.num_frames)
    return stepwise_greedy(recognizer.decoder, output.memory(), output.num_frames)


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
