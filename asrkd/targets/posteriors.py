"""Token posteriors of a teacher's frames as targets: of the likeliest tokens, or of all.

Notation: N utterances, T teacher frames after padding, V tokens, k of them
kept of each frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

ALL: Final = "all"  # in place of a number of tokens: all, in their order
TopK = int | Literal["all"]


def top_tokens(log_probs: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Select the best ``top_k`` tokens of each frame.

    Args:
        log_probs: (T, V) normalized, in nats.
        top_k: number of tokens, at least 1; all if V or more.

    Returns:
        values (T, k + 1): log-probabilities, best first, and last that of all
        other tokens, -inf if there are none; tokens (T, k), int16 if V allows it.
    """
    ranked, order = log_probs.sort(dim=-1, descending=True, stable=True)
    k = min(top_k, log_probs.shape[-1])
    rest = ranked[:, k:].logsumexp(dim=-1, keepdim=True)  # (T, 1); -inf for no tokens
    narrow = torch.int16 if log_probs.shape[-1] <= torch.iinfo(torch.int16).max else torch.int32
    return torch.cat([ranked[:, :k], rest], dim=-1), order[:, :k].to(narrow)


@dataclass(frozen=True)
class PosteriorTargets:
    """Tokens of each teacher frame with their log-probabilities, and that of all other tokens together."""

    log_probs: Tensor  # (N, T, k + 1) in nats, the last of all other tokens; -inf if k = V; padding is 0
    tokens: Tensor  # (N, T, k) int64, to which the first k belong; of all in their order an expanded view
    num_frames: Tensor  # (N,)
    in_order: bool = False  # whether each frame has all V tokens, in their order

    @classmethod
    def of_some(cls, values: Sequence[Tensor], tokens: Sequence[Tensor]) -> "PosteriorTargets":
        """Pad the values (T, k + 1) and the tokens (T, k) of N cuts to the longest."""
        return cls(
            pad_sequence([frames.float() for frames in values], batch_first=True),
            pad_sequence([frames.long() for frames in tokens], batch_first=True),
            _counts(values),
        )

    @classmethod
    def of_all(cls, values: Sequence[Tensor]) -> "PosteriorTargets":
        """Pad the log-probabilities (T, V) of all tokens of N cuts to the longest; no tokens are copied."""
        counts, first = _counts(values), values[0]
        longest, num_tokens = max(map(len, values)), first.shape[1]
        log_probs = torch.zeros(len(values), longest, num_tokens + 1, device=first.device)
        for row, frames in zip(log_probs, values, strict=True):
            row[: len(frames), :-1] = frames
            row[: len(frames), -1] = -torch.inf
        tokens = _in_order((len(values), longest, num_tokens), first.device)
        return cls(log_probs, tokens, counts, in_order=True)

    def frames(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (frames, k + 1) and tokens (frames, k) where a mask (N, up to T) is True.

        All tokens in their order are an expanded view of V numbers.
        """
        log_probs = self.log_probs[:, : mask.shape[1]][mask]
        if self.in_order:
            return log_probs, _in_order((len(log_probs), self.tokens.shape[2]), log_probs.device)
        return log_probs, self.tokens[:, : mask.shape[1]][mask]

    def to(self, device: torch.device) -> "PosteriorTargets":
        """Return a copy on another device."""
        tokens = _in_order(self.tokens.shape, device) if self.in_order else self.tokens.to(device)
        return replace(
            self, log_probs=self.log_probs.to(device), tokens=tokens, num_frames=self.num_frames.to(device)
        )


def _in_order(shape: Sequence[int], device: torch.device) -> Tensor:
    """Return 0 to V - 1 at each place of a tensor (..., V), as a view of V numbers."""
    return torch.arange(shape[-1], device=device).expand(*shape)


def _counts(arrays: Sequence[Tensor]) -> Tensor:
    return torch.tensor([len(array) for array in arrays], device=arrays[0].device)
