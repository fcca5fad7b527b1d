"""Frames, quantizers and the reference package for the rows about the quantizer."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.training import train_quantizer
from asrkd.quantizer.multi_quantization import reference_state
from asrkd.quantizer.options import QuantizerOptions

SIZES = ((512, 8), (512, 16), (1280, 8), (1280, 16))  # D and N
FRAMES = 6000


def has_reference() -> bool:
    """Whether there is something to stand beside; if not, the command that installs it is told."""
    if find_spec("multi_quantization") is None:
        print("the quantizer's rows stand beside multi_quantization: pip install multi_quantization h5py")
        return False
    return True


def reference_package() -> Any:
    """``multi_quantization``."""
    return import_module("multi_quantization")


def synthetic_frames(count: int, dim: int, seed: int = 1) -> Tensor:
    """(count, dim) outputs of a random network: correlated, bent, not Gaussian."""
    generator = torch.Generator().manual_seed(seed)
    inner = max(8, dim // 2)
    first, second = (
        torch.randn(rows, columns, generator=generator) * rows**-0.5
        for rows, columns in ((inner, dim), (dim, dim))
    )
    hidden = torch.randn(count, inner, generator=generator) @ first
    outputs = torch.nn.functional.leaky_relu(hidden, 0.1) @ second
    return outputs + 0.3 * torch.tanh(2 * outputs)


def trained(dim: int, num_codebooks: int) -> tuple[DirectSumQuantizer, Tensor]:
    """A quantizer, trained just enough to be like one, and frames that it has not seen."""
    frames = synthetic_frames(FRAMES + 1024, dim)
    options = QuantizerOptions(num_codebooks=num_codebooks, phase_one_steps=30, phase_two_steps=10)
    return train_quantizer(frames[:FRAMES], options)[0], frames[FRAMES:]


def as_reference(quantizer: DirectSumQuantizer) -> Any:
    """The same centers and classifiers in ``multi_quantization``."""
    sizes = {"codebook_size": quantizer.codebook_size, "num_codebooks": quantizer.num_codebooks}
    theirs = reference_package().Quantizer(dim=quantizer.dim, **sizes)
    theirs.load_state_dict(reference_state(quantizer, "00000000"))
    return theirs.eval().requires_grad_(False)
