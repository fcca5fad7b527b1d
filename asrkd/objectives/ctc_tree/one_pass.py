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


class OnePassSum(torch.autograd.Function):
    """Weighted sum of -log P(sequence | audio), whose gradient is computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, log_probs: Tensor, num_frames: Tensor, targets: "SequenceTargets", keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the weighted sum of -log P(sequence | audio).

        Args:
            ctx: autograd's context, which stores the gradient (N, T, V).
            log_probs: (N, T, V) log-softmax outputs on the CPU; arbitrary in padding.
            num_frames: (N,) encoder frames, at least 1 where there is a sequence.
            targets: S sequences.
            keep: (S',) indexes of the selected sequences; each fits its audio.

        Returns:
            The sum over the sequences of utterances whose sums are exact, a scalar
            in nats; and whether each sequence of ``keep`` is one of these, (S',) bool.
        """
        from asrkd.objectives.ctc_tree import prefix_tree_numba

        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.zeros_like(log_probs) if wants_gradient else None
        owner, total = targets.utterance[keep], 0.0
        exact = torch.zeros(len(keep), dtype=torch.bool)
        for row in owner.unique().tolist():
            of_row = (owner == row).nonzero().flatten()
            frames = log_probs[row, : int(num_frames[row])].detach().numpy()
            used, columns = _used_tokens(targets, keep[of_row], frames.shape[1])
            tokens, num_tokens, weights = (
                values[keep[of_row]].numpy()
                for values in (targets.tokens, targets.num_tokens, targets.weight)
            )
            tree = prefix_tree_numba.grow(tokens, num_tokens, columns)
            emitted = frames[:, used].astype(np.float64)
            occupied = np.zeros((0, 0) if gradient is None else emitted.shape)
            is_exact, value = prefix_tree_numba.one_utterance(
                emitted, tree, weights.astype(np.float64), occupied
            )
            if is_exact and gradient is not None:
                gradient[row, : len(frames)].numpy()[:, used] = -occupied
            exact[of_row] = is_exact
            total += value
        ctx.gradient = gradient
        ctx.mark_non_differentiable(exact)
        return log_probs.new_tensor(total), exact

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient (N, T, V) of ``log_probs``, None for the rest; ``grads[0]`` is a scalar."""
        return ctx.gradient * grads[0], None, None, None


def _used_tokens(
    targets: "SequenceTargets", keep: Tensor, num_tokens: int
) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Return blank and the tokens of some sequences, rising, and their numbers among these by token, (V,)."""
    sequences = zip(targets.tokens[keep].numpy(), targets.num_tokens[keep].numpy(), strict=True)
    used = np.unique(np.append(np.concatenate([tokens[:count] for tokens, count in sequences]), BLANK_ID))
    columns = np.zeros(num_tokens, np.int64)
    columns[used] = np.arange(len(used))
    return used, columns
