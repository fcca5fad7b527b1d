"""Cross-entropy of linear classifiers, with its gradients worked out on the way, some frames at a time.

The scores of all codebooks are by far the largest thing that the head makes:
1,000 frames of 32 codebooks are 33 MB, which automatic differentiation keeps
or makes anew four times. Here a few frames' scores are made, turned into the
loss and its gradients, and forgotten; the backward pass is a multiplication.

Letters: C classifiers, K classes of each, D size of a frame.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SCORES_AT_ONCE = 2**22  # 16 MB in float32


def linear_cross_entropy(frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor) -> Tensor:
    """Sum over frames and classifiers of -log softmax(weight frame + bias)[index], a scalar in nats.

    Under autocast the products are in its type, and the rest in float32.

    Args:
        frames: (frames, D).
        weight: (C * K, D).
        bias: (C * K,).
        indexes: (frames, C) int64 in [0, K).
    """
    with torch.no_grad():
        dtype = (frames[:0] @ weight[:0].t()).dtype  # that autocast, if it is on, multiplies in
    with torch.autocast(frames.device.type, enabled=False):
        if torch.is_grad_enabled():
            given = (frames, weight, bias, indexes, dtype)
            summed: Tensor = _SummedWithGradients.apply(*given)  # type: ignore[no-untyped-call]
            return summed
        steps = _steps(indexes, len(weight))
        return _sum(-_log_probs(frames[s], weight, bias, indexes[s], dtype)[1].sum() for s in steps)


class _SummedWithGradients(torch.autograd.Function):
    """The sum, whose gradients are kept and scaled when they are asked for."""

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Args as of :func:`linear_cross_entropy`, and the type of the products."""
        low_frames, low_weight = frames.to(dtype), weight.to(dtype)
        to_frames = torch.empty_like(frames, dtype=_sum_type(dtype))
        to_weight = torch.zeros_like(weight, dtype=_sum_type(dtype))
        to_bias = torch.zeros_like(bias, dtype=_sum_type(dtype))
        losses = []
        for step in _steps(indexes, len(weight)):
            log_probs, chosen = _log_probs(low_frames[step], low_weight, bias, indexes[step], dtype)
            losses.append(-chosen.sum())
            index = indexes[step].reshape(-1, 1)
            to_scores = log_probs.exp_()  # the gradient is the probability, less 1 at the index
            to_scores.scatter_add_(1, index, to_scores.new_full((1, 1), -1.0).expand_as(index))
            to_scores = to_scores.view(-1, len(weight))
            to_bias += to_scores.sum(dim=0)
            low = to_scores.to(dtype)
            to_frames[step] = low @ low_weight
            to_weight += low.t() @ low_frames[step]
        ctx.save_for_backward(to_frames.to(frames.dtype), to_weight, to_bias)
        return _sum(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> Any:
        """The gradients of frames, weight and bias."""
        return (*(scale.to(own.dtype) * own for own in ctx.saved_tensors), None, None)


def _log_probs(
    frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """(frames * C, K) log-probabilities, and (frames * C, 1) those of the indexes."""
    scores = torch.addmm(bias.to(dtype), frames.to(dtype), weight.to(dtype).t()).to(_sum_type(dtype))
    log_probs = scores.view(indexes.numel(), len(weight) // indexes.shape[1]).log_softmax(dim=-1)
    return log_probs, log_probs.gather(1, indexes.reshape(-1, 1))


def _steps(indexes: Tensor, width: int) -> list[slice]:
    """Frames that are worked on together."""
    size = max(1, SCORES_AT_ONCE // width)
    return [slice(start, start + size) for start in range(0, len(indexes), size)] or [slice(0, 0)]


def _sum_type(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _sum(losses: Any) -> Tensor:
    return torch.stack(list(losses)).sum()
