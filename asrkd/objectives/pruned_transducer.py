"""Pruned transducer loss, by k2: a cheap loss finds the part of each lattice that the joiner is evaluated on.

Source: Kuang et al., "Pruned RNN-T for fast, memory-efficient ASR training",
arXiv:2206.13236. The simple loss joins by addition alone, am + lm, smoothed
with the log-probabilities of each side by itself; its gradients are the
occupation of the lattice, from which each frame gets ``prune_range`` successive
places among the tokens.

Notation: S sequences, T encoder frames, U tokens, R prune range, J size of the
joiner, V tokens with blank at 0.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError, error_text
from asrkd.data.tokens import BLANK_ID
from asrkd.models.transducer import Transducer


@dataclass(frozen=True)
class PruneSettings:
    """Settings of the simple loss and of pruning; defaults of icefall's recipes."""

    prune_range: int  # R, places among the tokens at a frame
    lm_only_scale: float  # share of the predictor's own log-probabilities in the simple loss
    am_only_scale: float  # of the encoder's


@dataclass(frozen=True)
class Lattices:
    """S sequences with what their lattices are made of; padding is finite."""

    frames: Tensor  # (S, T, J) projected encoder frames
    predictions: Tensor  # (S, U + 1, J)
    am: Tensor  # (S, T, V) of the simple loss
    lm: Tensor  # (S, U + 1, V)
    num_frames: Tensor  # (S,)
    tokens: Tensor  # (S, U), U at least 1; padding holds ids of the inventory
    num_tokens: Tensor  # (S,)


def import_k2() -> Any:
    """Import k2 and return it; AsrkdError if it is not installed or does not fit torch."""
    try:
        return importlib.import_module("k2")
    except Exception as error:
        raise AsrkdError(
            f"objectives, transducer: loss: pruned needs k2: {error_text(error)}; make setup STACK=k2, or "
            "set loss: full"
        ) from None


def pruned_losses(
    transducer: Transducer, lattices: Lattices, settings: PruneSettings
) -> tuple[Tensor, Tensor]:
    """Compute the simple and the pruned loss of each sequence, both (S,) in nats, float32.

    No sequence may have more tokens than frames. With R above U the pruned loss is exact.
    """
    k2 = import_k2()
    symbols = lattices.tokens.long().contiguous()
    boundary = symbols.new_zeros(len(symbols), 4)
    boundary[:, 2], boundary[:, 3] = lattices.num_tokens, lattices.num_frames
    with torch.autocast(symbols.device.type, enabled=False):
        simple, occupation = k2.rnnt_loss_smoothed(
            lm=lattices.lm.float(),
            am=lattices.am.float(),
            symbols=symbols,
            termination_symbol=BLANK_ID,
            lm_only_scale=settings.lm_only_scale,
            am_only_scale=settings.am_only_scale,
            boundary=boundary,
            reduction="none",
            return_grad=True,
        )
        ranges = k2.get_rnnt_prune_ranges(
            px_grad=occupation[0], py_grad=occupation[1], boundary=boundary, s_range=settings.prune_range
        )
    frames, predictions = k2.do_rnnt_pruning(am=lattices.frames, lm=lattices.predictions, ranges=ranges)
    logits = transducer.join(frames, predictions)  # (S, T, R, V)
    with torch.autocast(symbols.device.type, enabled=False):
        pruned = k2.rnnt_loss_pruned(
            logits=logits.float(),
            symbols=symbols,
            ranges=ranges,
            termination_symbol=BLANK_ID,
            boundary=boundary,
            reduction="none",
        )
    return simple, pruned
