"""Frames of a stack of convolutions without padding, as wav2vec 2.0, HuBERT and WavLM begin with.

A stack is a list of (kernel size, stride), both in steps of what goes into
that convolution; what goes into the first are samples.
"""

import math
from collections.abc import Sequence


def hop(stack: Sequence[Sequence[int]]) -> int:
    """Samples between the beginnings of successive frames."""
    return math.prod(stride for _, stride in stack)


def span(stack: Sequence[Sequence[int]]) -> int:
    """Samples that one frame sees; fewer give no frame."""
    seen, step = 1, 1
    for kernel, stride in stack:
        seen += (kernel - 1) * step
        step *= stride
    return seen


def num_frames(stack: Sequence[Sequence[int]], num_samples: int) -> int:
    """Frames of so many samples, 0 if they are too few for one."""
    for kernel, stride in stack:
        num_samples = max(0, (num_samples - kernel) // stride + 1)
    return num_samples
