"""Cross-entropy of linear classifiers, with gradients computed in the forward pass, some frames at a time.

The scores of all codebooks are by far the largest tensor of the head: 33 MB
for 1,000 frames of 32 codebooks, of which automatic differentiation has four
copies. Here the scores of some frames are computed, converted to the loss and
its gradients, and freed; the backward pass is a multiplication.

Notation: C classifiers, K classes of each, D size of a frame.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MAX_SCORES = 2**22  # computed together; 16 MB in float32


def linear_cross_entropy(frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor) -> Tensor:
    """Sum -log softmax(weight frame + bias)[index] over frames and classifiers, a scalar in nats.

    Under autocast products are in its type, everything else in float32.

    Args:
        frames: (frames, D) inputs of the classifiers.
        weight: (C * K, D) weights of all classifiers.
        bias: (C * K,) biases of all classifiers.
        indexes: (frames, C) true classes, int64 in [0, K).
    """
    with torch.no_grad():
        dtype = (frames[:0] @ weight[:0].t()).dtype  # type of products under autocast
    with torch.autocast(frames.device.type, enabled=False):
        if torch.is_grad_enabled():
            arguments = (frames, weight, bias, indexes, dtype)
            summed: Tensor = _SummedWithGradients.apply(*arguments)  # type: ignore[no-untyped-call]
            return summed
        steps = _steps(indexes, len(weight))
        return _sum(-_log_probs(frames[s], weight, bias, indexes[s], dtype)[1].sum() for s in steps)


class _SummedWithGradients(torch.autograd.Function):
    """Sum whose gradients are computed in the forward pass, and scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Compute the sum; arguments as in :func:`linear_cross_entropy`, and the ``dtype`` of products."""
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
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, scale: Tensor) -> Any:
        """Scale the gradients of frames, weight and bias."""
        return (*(scale.to(gradient.dtype) * gradient for gradient in ctx.saved_tensors), None, None)


def _log_probs(
    frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Compute all log-probabilities, (frames * C, K), and those of the indexes, (frames * C, 1)."""
    scores = torch.addmm(bias.to(dtype), frames.to(dtype), weight.to(dtype).t()).to(_sum_type(dtype))
    log_probs = scores.view(indexes.numel(), len(weight) // indexes.shape[1]).log_softmax(dim=-1)
    return log_probs, log_probs.gather(1, indexes.reshape(-1, 1))


def _steps(indexes: Tensor, width: int) -> list[slice]:
    """Divide the frames into slices that are computed together."""
    size = max(1, MAX_SCORES // width)
    return [slice(start, start + size) for start in range(0, len(indexes), size)] or [slice(0, 0)]


def _sum_type(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _sum(losses: Any) -> Tensor:
    return torch.stack(list(losses)).sum()
