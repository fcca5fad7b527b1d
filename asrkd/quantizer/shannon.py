"""Rate-distortion bounds: the lowest error of any code of a number of bits, for Gaussian frames.

Source: Cover and Thomas, "Elements of Information Theory", section 10.3.3
(reverse water-filling): directions whose variance is above a water level are
coded down to it, the others not at all.
"""

import math

import torch
from torch import Tensor


def principal_variances(frames: Tensor) -> Tensor:
    """Return the covariance eigenvalues of frames (F, D): (D,) float64 on the CPU, descending, >= 0."""
    centered = (frames - frames.mean(dim=0)).double().cpu()
    covariance = centered.T @ centered / len(frames)
    variances: Tensor = torch.linalg.eigvalsh(covariance).clamp(min=0).flip(0)
    return variances


def gaussian_distortion(variances: Tensor, bits: float) -> float:
    """Return the squared error of the best code for a Gaussian frame, relative to the variance, in [0, 1].

    Args:
        variances: (D,) variances along the principal axes, >= 0; the error is 0 if all are zero.
        bits: bits per frame, >= 0.
    """
    ordered = variances.double().sort(descending=True).values
    positive = ordered[ordered > 0]
    if not len(positive):
        return 0.0
    logs = positive.log2()
    levels = (logs.cumsum(0) - 2 * bits) / torch.arange(1, len(logs) + 1)  # if the first 1, 2, ... are coded
    # The number of coded axes is the last whose smallest variance is above its level; without bits, none is.
    above = (levels < logs).nonzero()
    if not len(above):
        return 1.0
    level = levels[above[-1, 0]].exp2()
    return float(positive.clamp(max=float(level)).sum() / positive.sum())


def entropy_bits(probs: Tensor) -> Tensor:
    """Return the entropy in bits, (...), of distributions over K entries, (..., K); 0 log 0 is 0."""
    bits: Tensor = -torch.xlogy(probs, probs).sum(dim=-1) / math.log(2)
    return bits
