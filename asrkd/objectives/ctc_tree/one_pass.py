"""CTC of all hypotheses of an utterance in one pass over their prefix tree.

Hypotheses of an N-best list share prefixes. The sums over alignments (Graves
et al., ICML 2006, equations 6 to 8) of a node of the tree depend on its
ancestors alone, so they are computed once for all hypotheses through the node.
Each hypothesis has a separate score, as the objective is a weighted sum of
-log P(y_k), not -log of a sum. The gradient needs a single backward pass,
which is linear in its initial values: weight over score at each hypothesis's end.

k2 is not used, as its loss of a union of hypotheses is -log of the sum of
their probabilities, and its gradient neglects unlikely hypotheses whatever
their weights. A test compares each score with k2's of a single hypothesis. On
a GPU, or without numba, losses are computed separately, in one call.

Notation: N utterances, T frames, V tokens with blank at 0, S sequences, U
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
    """Return whether to use one pass: on CPU, with numba, if some utterance has several sequences.

    Args:
        log_probs: (N, T, V) log-probabilities, of which only the device matters.
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
    """Compute the weighted sum of -log P(sequence | audio).

    Args:
        log_probs: (N, T, V) log-softmax outputs on the CPU; arbitrary in padding.
        num_frames: (N,) encoder frames, at least 1 where there is a sequence.
        targets: S sequences.
        keep: (S',) indexes of the selected sequences; each fits its audio.

    Returns:
        The sum over the sequences of utterances whose sums are exact, a scalar
        in nats; and the indexes of the other sequences, (S'',).
    """
    total, exact = _OnePass.apply(log_probs, num_frames, targets, keep)  # type: ignore[no-untyped-call]
    return total, keep[~exact]


class _OnePass(torch.autograd.Function):
    """Weighted sum whose gradient is computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, log_probs: Tensor, num_frames: Tensor, targets: "SequenceTargets", keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the sum, a scalar in nats, and whether each sequence of ``keep`` is exact, (S',) bool.

        Args:
            ctx: autograd's context, which stores the gradient (N, T, V).
            log_probs: (N, T, V) log-softmax outputs, as in :func:`one_pass_sum`.
            num_frames: (N,) encoder frames, as in :func:`one_pass_sum`.
            targets: S sequences.
            keep: (S',) indexes of the selected sequences.
        """
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.zeros_like(log_probs) if wants_gradient else None
        owner, total = targets.utterance[keep], 0.0
        exact = torch.zeros(len(keep), dtype=torch.bool)
        for row in owner.unique().tolist():
            of_row = (owner == row).nonzero().flatten()
            frames = log_probs[row, : int(num_frames[row])].detach().numpy()
            filled = None if gradient is None else gradient[row, : len(frames)].numpy()
            is_exact, value = _one_utterance(frames, targets, keep[of_row], filled)
            exact[of_row] = is_exact
            total += value
        ctx.gradient = gradient
        ctx.mark_non_differentiable(exact)
        return log_probs.new_tensor(total), exact

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient (N, T, V) of ``log_probs``, None for the rest; ``grads[0]`` is a scalar."""
        return ctx.gradient * grads[0], None, None, None


def _one_utterance(
    frames: "np.ndarray[Any, Any]",
    targets: "SequenceTargets",
    keep: Tensor,
    gradient: "np.ndarray[Any, Any] | None",
) -> tuple[bool, float]:
    """Return whether the sum of an utterance is exact, and the sum; fill ``gradient`` (T, V) if it is."""
    from asrkd.objectives.ctc_tree import prefix_tree_numba

    tokens, num_tokens = targets.tokens[keep].numpy(), targets.num_tokens[keep].numpy()
    used = np.unique(
        np.append(np.concatenate([t[:n] for t, n in zip(tokens, num_tokens, strict=True)]), BLANK_ID)
    )
    columns = np.zeros(frames.shape[1], np.int64)
    columns[used] = np.arange(len(used))
    tree = prefix_tree_numba.grow(tokens, num_tokens, columns)
    emitted = frames[:, used].astype(np.float64)
    occupied = np.zeros(emitted.shape if gradient is not None else (0, 0))
    exact, value = prefix_tree_numba.one_utterance(
        emitted, tree, targets.weight[keep].numpy().astype(np.float64), occupied
    )
    if exact and gradient is not None:
        gradient[:, used] = -occupied
    return exact, value
