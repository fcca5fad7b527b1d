"""Pruned transducer loss, by k2: a cheap loss finds the part of each lattice that the joiner is evaluated on.

Source: Kuang et al., "Pruned RNN-T for fast, memory-efficient ASR training",
arXiv:2206.13236. The simple loss joins by addition alone, am + lm, smoothed
with the log-probabilities of each side by itself; its gradients are the
occupation of the lattice, from which each frame gets ``prune_range`` successive
places among the tokens.

k2 has the recursion over lattices and the choice of places. What is gathered
for them is gathered here: k2 1.23.4 gathers from views that are expanded to
(S, T, U, V) and (S, T, U, J), whose gradients it fills with zeros, which took
more time than everything else together. The encoder's side of the simple loss,
(N, T, V), is computed once an utterance, however many sequences it has.

Notation: N utterances, S sequences, T encoder frames, U tokens, R prune range,
J size of the joiner, V tokens with blank at 0.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from asrkd.core.installed import import_k2
from asrkd.data.tokens import BLANK_ID
from asrkd.models.masks import frame_mask
from asrkd.models.transducer import Transducer

WITHOUT_K2 = "set loss: full"

# Numbers in the logits of sequences that are joined at once: 16 MiB, which CPUs reuse rather than map anew.
LARGEST = 2**22


@dataclass(frozen=True)
class PruneSettings:
    """Settings of the simple loss and of pruning; defaults of icefall's recipes."""

    prune_range: int  # R, places among the tokens at a frame
    lm_only_scale: float  # share of the predictor's own log-probabilities in the simple loss
    am_only_scale: float  # of the encoder's


@dataclass(frozen=True)
class Lattices:
    """S sequences of N utterances with what their lattices are made of; padding is finite."""

    frames: Tensor  # (N, T, J) projected encoder frames
    predictions: Tensor  # (S, U + 1, J)
    am: Tensor  # (N, T, V) of the simple loss
    lm: Tensor  # (S, U + 1, V)
    num_frames: Tensor  # (S,)
    tokens: Tensor  # (S, U), U at least 1; padding holds ids of the inventory
    num_tokens: Tensor  # (S,)
    utterance: Tensor  # (S,) int64


def pruned_losses(
    transducer: Transducer, lattices: Lattices, settings: PruneSettings
) -> tuple[Tensor, Tensor]:
    """Compute the simple and the pruned loss of each sequence, both (S,) in nats, float32.

    No sequence may have more tokens than frames. With R above U the pruned loss is exact.
    """
    k2 = import_k2("loss: pruned", WITHOUT_K2)
    symbols = lattices.tokens.long().contiguous()
    boundary = symbols.new_zeros(len(symbols), 4)
    boundary[:, 2], boundary[:, 3] = lattices.num_tokens, lattices.num_frames
    with torch.autocast(symbols.device.type, enabled=False):
        px, py = smoothed_log_probs(lattices, settings)
        simple, occupation = k2.mutual_information_recursion(px, py, boundary, return_grad=True)
        ranges = k2.get_rnnt_prune_ranges(
            px_grad=occupation[0], py_grad=occupation[1], boundary=boundary, s_range=settings.prune_range
        )  # (S, T, R)
    each = max(1, LARGEST // (ranges[0].numel() * transducer.out.out_features))  # sequences of a group
    pruned = []
    for group in torch.arange(len(symbols), device=symbols.device).split(each):
        logits = transducer.join(*_pruned_inputs(lattices, ranges[group], group))  # (S', T, R, V)
        with torch.autocast(symbols.device.type, enabled=False):
            losses = k2.rnnt_loss_pruned(
                logits=logits.float(),
                symbols=symbols[group],
                ranges=ranges[group],
                termination_symbol=BLANK_ID,
                boundary=boundary[group],
                reduction="none",
            )
        pruned.append(losses)
    return -simple, torch.cat(pruned)


def smoothed_log_probs(lattices: Lattices, settings: PruneSettings) -> tuple[Tensor, Tensor]:
    """Compute the smoothed log-probabilities of the simple loss, float32.

    At a frame and place, log P(k) is an interpolation of the logarithms of softmax(am + lm), of softmax(lm),
    and of am's softmax times the mean of softmax(lm) over all places of the batch.

    Returns:
        Of the next token, (S, U, T + 1), -inf behind the last frame; and of blank, (S, U + 1, T).
    """
    am, lm, owner = lattices.am.float(), lattices.lm.float(), lattices.utterance
    am_max, lm_max = am.amax(dim=2, keepdim=True), lm.amax(dim=2, keepdim=True)
    am_probs, lm_probs = (am - am_max).exp(), (lm - lm_max).exp()  # not normalized
    tiny = torch.finfo(torch.float32).tiny
    joint = (lm_probs @ am_probs.transpose(1, 2)[owner] + tiny).log()
    joint = joint + lm_max + am_max.transpose(1, 2)[owner]  # (S, U + 1, T)
    lm_sums = lm_probs.sum(dim=2, keepdim=True)
    lm_normalizer = lm_sums.log() + lm_max  # (S, U + 1, 1)
    frames_of_token = am.transpose(1, 2).flatten(0, 1)  # (N * V, T)

    def interpolated(tokens: Tensor) -> Tensor:
        """Return the log-probabilities (S, L, T) of tokens (S, L) at the first L places."""
        length = tokens.shape[1]
        rows = (owner[:, None] * am.shape[2] + tokens).flatten()
        of_am = frames_of_token.index_select(0, rows).unflatten(0, tokens.shape)
        of_lm = lm[:, :length].gather(2, tokens[..., None])  # (S, L, 1)
        lm_only, am_only = settings.lm_only_scale, settings.am_only_scale
        log_probs: Tensor = (1 - lm_only - am_only) * (of_am + of_lm - joint[:, :length])
        log_probs = log_probs + lm_only * (of_lm - lm_normalizer[:, :length])
        if am_only > 0:
            log_probs = log_probs + am_only * (of_am + unigram.log()[tokens][..., None] - am_normalizer)
        return log_probs

    if settings.am_only_scale > 0:
        unigram = (lm_probs / lm_sums).mean(dim=(0, 1)) + tiny  # (V,)
        am_normalizer = ((am_probs @ unigram).log()[:, None] + am_max.transpose(1, 2))[owner]  # (S, 1, T)
    of_tokens = functional.pad(interpolated(lattices.tokens), (0, 1))
    behind = ~frame_mask(lattices.num_frames, of_tokens.shape[2])[:, None]
    blanks = torch.full_like(lattices.tokens[:, :1], BLANK_ID).expand(-1, lm.shape[1])
    return of_tokens.masked_fill(behind, -math.inf), interpolated(blanks)


def _pruned_inputs(lattices: Lattices, ranges: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return the joiner's inputs for a group of sequences at their ``ranges`` (S', T, R).

    Returns:
        Frames (S', T, 1, J) and predictions (S', T, R, J).
    """
    rows = (group * lattices.predictions.shape[1])[:, None, None] + ranges
    at_places = lattices.predictions.flatten(0, 1).index_select(0, rows.flatten())
    return lattices.frames[lattices.utterance[group]][:, :, None], at_places.unflatten(0, ranges.shape)
