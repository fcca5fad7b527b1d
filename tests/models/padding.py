"""What padding holds must not matter to an encoder: said once for all kinds."""

from collections.abc import Collection

import torch

from asrkd.models.encoder import Encoder, Tap
from asrkd.models.masks import frame_mask


def check_padding(
    model: Encoder, features: torch.Tensor, counts: torch.Tensor, taps: Collection[Tap], garbage: float
) -> None:
    """Outputs, tapped layers and gradients of (N, T, F) features are the same with zeros and with garbage."""
    padding = ~frame_mask(counts, features.shape[1])
    outputs, gradients = [], []
    for fill in (0.0, garbage):
        output = model(features.masked_fill(padding[..., None], fill), counts, taps)
        real = frame_mask(output.num_frames, output.frames.shape[1])
        taken = [value[real].flatten() for value in (output.frames, *output.tapped.values())]
        model.zero_grad()
        sum(value.square().sum() for value in taken).backward()
        outputs.append(torch.cat(taken))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.equal(*outputs)
    assert torch.equal(*gradients)
    assert gradients[0].isfinite().all()
