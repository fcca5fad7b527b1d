"""The least error that any code of so many bits can have: rate-distortion theory for Gaussian frames.

Source: Cover and Thomas, "Elements of Information Theory", section 10.3.3
(reverse water-filling): directions whose variance is above a water level are
described down to it, the others not at all.
"""

import math

import torch
from torch import Tensor


def principal_variances(frames: Tensor) -> Tensor:
    """Eigenvalues of the covariance of frames (F, D), (D,) float64 on the CPU, descending, none negative."""
    centered = (frames - frames.mean(dim=0)).double().cpu()
    covariance = centered.T @ centered / len(frames)
    variances: Tensor = torch.linalg.eigvalsh(covariance).clamp(min=0).flip(0)
    return variances


def gaussian_distortion(variances: Tensor, bits: float) -> float:
    """Squared error relative to the whole variance, in [0, 1], of the best code for a Gaussian frame.

    Args:
        variances: (D,) along the principal axes, none negative; 0 is given if all are zero.
        bits: of a frame, 0 or more.
    """
    ordered = variances.double().sort(descending=True).values
    positive = ordered[ordered > 0]
    if not len(positive):
        return 0.0
    logs = positive.log2()
    levels = (logs.cumsum(0) - 2 * bits) / torch.arange(
        1, len(logs) + 1
    )  # if the first 1, 2, ... are described
    # The right number is the last whose smallest variance is above its level; with no bits there is none.
    above = (levels < logs).nonzero()
    if not len(above):
        return 1.0
    level = levels[above[-1, 0]].exp2()
    return float(positive.clamp(max=float(level)).sum() / positive.sum())


def entropy_bits(probs: Tensor) -> Tensor:
    """Entropy in bits, (...), of distributions over K entries, (..., K); 0 log 0 is 0."""
    bits: Tensor = -torch.xlogy(probs, probs).sum(dim=-1) / math.log(2)
    return bits
