"""The feed-forward module of Conformers and Transformers."""

from typing import Protocol

from torch import nn

from asrkd.models.norm import LayerNorm


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
