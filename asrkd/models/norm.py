"""Layer normalisation in float32, whatever the rest is computed in."""

import torch
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """LayerNorm that leaves autocast: sums of squares in bf16 lose what they are taken for.

    It also makes bf16 work on torch 1.13's CPU build, whose own refuses
    float32 weights with bf16 input.
    """

    def forward(self, frames: Tensor) -> Tensor:
        """Normalise (..., D) over its last axis; the result is float32."""
        with torch.autocast(frames.device.type, enabled=False):
            return super().forward(frames.float())
