"""The likeliest tokens of each frame, and the probability of all others together.

Letters: T frames, V tokens, k of them that are kept.
"""

import torch
from torch import Tensor


def top_tokens(log_probs: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Keep the best ``top_k`` tokens of each frame.

    Args:
        log_probs: (T, V) normalised, in nats.
        top_k: at least 1; all are kept if it is V or more.

    Returns:
        values (T, k + 1): log-probabilities, best first, and last that of the
        rest, -inf where there is none; tokens (T, k), int16 if V allows it.
    """
    ranked, order = log_probs.sort(dim=-1, descending=True, stable=True)
    kept = min(top_k, log_probs.shape[-1])
    rest = ranked[:, kept:].logsumexp(dim=-1, keepdim=True)  # (T, 1); -inf of nothing
    narrow = torch.int16 if log_probs.shape[-1] <= torch.iinfo(torch.int16).max else torch.int32
    return torch.cat([ranked[:, :kept], rest], dim=-1), order[:, :kept].to(narrow)
