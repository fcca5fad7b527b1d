"""The log-posteriors that every search starts from, checked once.

Letters: N utterances, T frames after padding, V symbols with blank at 0.
"""

import torch
from torch import Tensor

from asrkd.errors import AsrkdError

BLANK = 0


def checked_lengths(log_probs: Tensor, num_frames: Tensor) -> list[int]:
    """Real frames per utterance, after a look at the whole batch.

    Args:
        log_probs: shape (N, T, V), floating, in nats; padding may hold anything.
        num_frames: shape (N,), integer, each 0..T.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    if log_probs.dim() != 3 or not log_probs.is_floating_point() or log_probs.shape[2] < 1:
        raise ValueError(f"log_probs must be floating (N, T, V), got {tuple(log_probs.shape)}")
    if num_frames.shape != log_probs.shape[:1] or num_frames.is_floating_point():
        raise ValueError(f"num_frames must be {log_probs.shape[0]} integers, got {tuple(num_frames.shape)}")
    lengths: list[int] = num_frames.tolist()
    if lengths and not 0 <= min(lengths) <= max(lengths) <= log_probs.shape[1]:
        raise ValueError(f"num_frames must be in 0..{log_probs.shape[1]}, got {lengths}")

    bad = log_probs.isnan().any(dim=2) & real_frames(log_probs, lengths)  # (N, T)
    if bad.any():
        utterance, frame = bad.nonzero()[0].tolist()
        raise AsrkdError(
            f"the model gives NaN at output frame {frame} of utterance {utterance} of the batch: expected "
            "log-probabilities; its training diverged, take an earlier checkpoint"
        )
    return lengths


def real_frames(log_probs: Tensor, lengths: list[int]) -> Tensor:
    """Which frames of (N, T, V) are audio rather than padding: (N, T) bool, by the N ``lengths``."""
    frames = torch.arange(log_probs.shape[1], device=log_probs.device)
    return torch.lt(frames, torch.tensor(lengths, device=log_probs.device)[:, None])
