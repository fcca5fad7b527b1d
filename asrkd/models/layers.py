"""Layers that encoders and decoders share: feed-forward modules, and layer normalization in float32."""

from typing import Protocol

import torch
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """LayerNorm that leaves autocast: sums of squares in bf16 lose what they are taken for.

    It also makes bf16 work on torch 1.13's CPU build, whose own refuses
    float32 weights with bf16 input.
    """

    def forward(self, frames: Tensor) -> Tensor:
        """Normalize (..., D) over its last axis; the result is float32."""
        with torch.autocast(frames.device.type, enabled=False):
            return super().forward(frames.float())


class LayerSizes(Protocol):
    """What a feed-forward module needs to know of its layer."""

    @property
    def dim(self) -> int:
        """D, of the residual stream."""

    @property
    def feed_forward_dim(self) -> int:
        """Of the expansion."""

    @property
    def dropout(self) -> float:
        """Share of values dropped in training, [0, 1)."""


class FeedForward(nn.Sequential):
    """LayerNorm, expansion, activation, contraction; (N, T, D) to (N, T, D)."""

    def __init__(self, sizes: LayerSizes, activation: nn.Module) -> None:
        super().__init__(
            LayerNorm(sizes.dim),
            nn.Linear(sizes.dim, sizes.feed_forward_dim),
            activation,
            nn.Dropout(sizes.dropout),
            nn.Linear(sizes.feed_forward_dim, sizes.dim),
            nn.Dropout(sizes.dropout),
        )
