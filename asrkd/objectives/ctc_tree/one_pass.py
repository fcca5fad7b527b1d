"""CTC of all hypotheses of an utterance in one pass over their prefix tree.

Hypotheses of an N-best list begin alike. The sums over alignments (Graves et
al., ICML 2006, equations 6 to 8) of a node of the tree depend on the nodes
above it alone, so they are computed once for all hypotheses that pass it.
Each hypothesis has its own score, as the objective is a weighted sum of
-log P(y_k), not -log of a sum; its gradient needs one backward pass, which is
linear in what it starts from: weight over score at each hypothesis's end.

That is why it is not k2's even where k2 is: over a union of hypotheses k2
gives -log of the sum of their probabilities, and its gradient drops those
that are unlikely, whatever their weights. A test holds each score against
k2's of its own graph. On a GPU, or without numba, losses are separate, in one call.

Letters: N utterances, T frames, V tokens with blank at 0, S sequences, U
tokens after padding.
"""

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from asrkd.data.tokens import BLANK_ID

if TYPE_CHECKING:
    from asrkd.targets.sequences import SequenceTargets


@cache
def is_available() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def is_worthwhile(log_probs: Tensor, utterance: Tensor) -> bool:
    """Whether one pass is to be taken: on CPU, with numba, where some utterance has several sequences.

    Args:
        log_probs: (N, T, V); only their device is looked at.
        utterance: (S,) row of each sequence.
    """
    return (
        log_probs.device.type == "cpu"
        and len(utterance) > 1
        and is_available()
        and len(utterance) > len(utterance.unique())
    )


def one_pass_sum(
    log_probs: Tensor, num_frames: Tensor, targets: "SequenceTargets", keep: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted sum of -log P(sequence | audio).

    Args:
        log_probs: (N, T, V) log-softmax outputs on the CPU; padding may hold anything.
        num_frames: (N,), at least 1 where there is a sequence.
        targets: the sequences.
        keep: (S',) places of those that are wanted; each fits its audio.

    Returns:
        The sum over those whose utterance could be done exactly, a scalar in
        nats; and the places of the others, (S'',).
    """
    total, exact = _OnePass.apply(log_probs, num_frames, targets, keep)  # type: ignore[no-untyped-call]
    return total, keep[~exact]


class _OnePass(torch.autograd.Function):
    """The sum, with a gradient that is computed beside it."""

    @staticmethod
    def forward(
        ctx: Any, log_probs: Tensor, num_frames: Tensor, targets: "SequenceTargets", keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sum, a scalar in nats, and (S',) bool: of each of ``keep`` whether it was exact.

        Args:
            ctx: takes the gradient, (N, T, V).
            log_probs: (N, T, V), as :func:`one_pass_sum` has it.
            num_frames: (N,), likewise.
            targets: S sequences.
            keep: (S',) places of those that are wanted.
        """
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.zeros_like(log_probs) if wants_gradient else None
        owner, total = targets.utterance[keep], 0.0
        exact = torch.zeros(len(keep), dtype=torch.bool)
        for row in owner.unique().tolist():
            own = (owner == row).nonzero().flatten()
            frames = log_probs[row, : int(num_frames[row])].detach().numpy()
            filled = None if gradient is None else gradient[row, : len(frames)].numpy()
            is_exact, value = _one_utterance(frames, targets, keep[own], filled)
            exact[own] = is_exact
            total += value
        ctx.gradient = gradient
        ctx.mark_non_differentiable(exact)
        return log_probs.new_tensor(total), exact

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient (N, T, V) of ``log_probs``, None for the rest; the first of ``grads`` is a scalar."""
        return ctx.gradient * grads[0], None, None, None


def _one_utterance(
    frames: "np.ndarray[Any, Any]",
    targets: "SequenceTargets",
    own: Tensor,
    gradient: "np.ndarray[Any, Any] | None",
) -> tuple[bool, float]:
    """Whether it was exact, and the sum; ``gradient`` (T, V), if given, is filled where it was."""
    from asrkd.objectives.ctc_tree import prefix_tree_numba

    tokens, num_tokens = targets.tokens[own].numpy(), targets.num_tokens[own].numpy()
    used = np.unique(
        np.append(np.concatenate([t[:n] for t, n in zip(tokens, num_tokens, strict=True)]), BLANK_ID)
    )
    columns = np.zeros(frames.shape[1], np.int64)
    columns[used] = np.arange(len(used))
    tree = prefix_tree_numba.grow(tokens, num_tokens, columns)
    emitted = frames[:, used].astype(np.float64)
    occupied = np.zeros(emitted.shape if gradient is not None else (0, 0))
    exact, value = prefix_tree_numba.one_utterance(
        emitted, tree, targets.weight[own].numpy().astype(np.float64), occupied
    )
    if exact and gradient is not None:
        gradient[:, used] = -occupied
    return exact, value
