"""Exact transducer loss -log P(tokens | audio), by torchaudio, in bounded memory.

Source: Graves, arXiv:1211.3711, equations 16 to 18. The logits of all frames
and tokens, T * (U + 1) * V numbers a sequence, are what fills a memory, so that
sequences are grouped until :data:`LARGEST`, each group is trimmed to its longest
one, and all but a single group are computed again in the backward pass.

Notation: N utterances, S sequences, T encoder frames, U tokens, J size of the
joiner, V tokens with blank at 0.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asrkd.data.tokens import BLANK_ID
from asrkd.models.transducer import Transducer

# Numbers in the logits of a group, 64 MiB in float32; torchaudio keeps three to four times as many.
LARGEST = 2**24
# The same of a single sequence, 1 GiB; longer ones, of many minutes, are computed frame by frame.
LARGEST_SEQUENCE = 2**28


def full_losses(
    transducer: Transducer,
    frames: Tensor,
    num_frames: Tensor,
    predictions: Tensor,
    sequences: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """Compute -log P(sequence | audio) of each sequence, (S,) in nats, float32.

    Args:
        transducer: the joiner.
        frames: (N, T, J) projected encoder frames, finite everywhere.
        num_frames: (N,) encoder frames, at least 1 each.
        predictions: (S, U + 1, J) of the predictor.
        sequences: tokens (S, U), of which (S,) are real, and the (S,) utterances that they belong to.
    """
    tokens, num_tokens, utterance = sequences
    lengths, losses = num_frames[utterance], []
    groups = list(_groups(lengths, num_tokens, transducer.out.out_features))
    for group in groups:
        inputs = (frames, lengths[group], predictions, utterance[group], tokens, group)
        arguments = (transducer, *inputs, num_tokens[group])
        if len(groups) == 1 or not torch.is_grad_enabled():
            losses.append(_group_losses(*arguments))
        else:
            losses.append(
                checkpoint(_group_losses, *arguments, use_reentrant=False, preserve_rng_state=False)
            )
    order = torch.cat(groups).argsort()
    return torch.cat(losses)[order]


def _groups(num_frames: Tensor, num_tokens: Tensor, num_classes: int) -> Iterator[Tensor]:
    """Yield the indexes of sequences of like sizes whose padded logits have at most LARGEST numbers."""
    order = (num_frames * (num_tokens + 1)).argsort(descending=True)
    sizes = list(zip(num_frames[order].tolist(), num_tokens[order].tolist(), strict=True))
    start = 0
    while start < len(order):
        end, longest, most = start, 0, 0
        while end < len(order):
            longest, most = max(longest, sizes[end][0]), max(most, sizes[end][1])
            if end > start and (end + 1 - start) * longest * (most + 1) * num_classes > LARGEST:
                break
            end += 1
        yield order[start:end]
        start = end


def _group_losses(
    transducer: Transducer,
    frames: Tensor,
    num_frames: Tensor,
    predictions: Tensor,
    utterance: Tensor,
    tokens: Tensor,
    group: Tensor,
    num_tokens: Tensor,
) -> Tensor:
    longest, most = int(num_frames.max()), int(num_tokens.max())  # torchaudio accepts no more padding
    ours, predicted = frames[utterance, :longest], predictions[group, : most + 1]
    size = longest * (most + 1) * transducer.out.out_features
    if len(group) == 1 and size > LARGEST_SEQUENCE and not torch.is_grad_enabled():
        return long_loss(transducer, ours[0], predicted[0], tokens[group[0], :most])[None]
    logits = transducer.join(ours[:, :, None], predicted[:, None])
    return exact_losses(logits, tokens[group, :most], num_frames, num_tokens)


@torch.no_grad()
def long_loss(transducer: Transducer, frames: Tensor, predictions: Tensor, tokens: Tensor) -> Tensor:
    """Compute -log P(tokens | audio) of one sequence without a lattice in memory, () in nats, float32.

    Of each frame all places among the tokens are computed at once: with a place's emissions summed up to
    it, E(u), equation 16 is
    alpha(t, u) = E(u) + log sum_{v <= u} exp(alpha(t - 1, v) + blank(t - 1, v) - E(v)).

    Args:
        transducer: the joiner.
        frames: (T, J) projected encoder frames.
        predictions: (U + 1, J) of the predictor.
        tokens: (U,) ids.
    """
    block = max(1, LARGEST // (len(predictions) * transducer.out.out_features))
    entering = predictions.new_full((len(predictions),), -torch.inf, dtype=torch.float64)
    entering[0] = 0.0  # log-probability of a place before the frame's own emissions
    for some in frames.split(block):
        log_probs = transducer.join(some[:, None], predictions[None]).float().log_softmax(dim=-1)
        blanks = log_probs[..., BLANK_ID].double()  # (block, U + 1)
        emissions = log_probs[:, :-1].gather(2, tokens.expand(len(some), -1)[..., None]).squeeze(2).double()
        sums = nn.functional.pad(emissions.cumsum(dim=1), (1, 0))
        for summed, blank in zip(sums, blanks, strict=True):
            entering = summed + (entering - summed).logcumsumexp(dim=0) + blank
    return -entering[-1].float()


def exact_losses(logits: Tensor, tokens: Tensor, num_frames: Tensor, num_tokens: Tensor) -> Tensor:
    """Compute the loss of each sequence from its logits.

    Args:
        logits: (S, T, U + 1, V) logits, of exactly the longest sequence.
        tokens: (S, U) ids, below V.
        num_frames: (S,) encoder frames.
        num_tokens: (S,) tokens.

    Returns:
        (S,) in nats, float32.
    """
    import torchaudio  # takes long to load, and no config needs it

    losses: Tensor = torchaudio.functional.rnnt_loss(
        logits.float().contiguous(),
        tokens.int().contiguous(),
        num_frames.int().contiguous(),
        num_tokens.int().contiguous(),
        blank=BLANK_ID,  # its default is the last one
        reduction="none",
    )
    return losses
