"""Devices and precisions of a forward pass: CPU or GPU, in fp32, bf16 or fp16.

fp16 is for GPUs only, and needs scaled gradients.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from asrkd.core.errors import AsrkdError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """Precision of a forward pass: autocast and, for fp16, the scaling of gradients."""

    def __init__(self, name: str, device: torch.device) -> None:
        """Select a precision by name.

        Raises:
            AsrkdError: unknown name, or fp16 on a CPU.
        """
        if name != "fp32" and name not in _DTYPES:
            raise AsrkdError(f"--precision {name}: expected fp32, bf16 or fp16")
        if name == "fp16" and device.type == "cpu":
            raise AsrkdError("--precision fp16: does not exist on CPU; use bf16 or fp32")
        self.name, self._device = name, device
        self.scaler = _scaler(enabled=name == "fp16")

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which matrix products are computed in this precision."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=_DTYPES[self.name])


def _scaler(*, enabled: bool) -> Any:
    """Return the gradient scaler, whose module differs between versions of torch."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler("cuda", enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)


def pick_device(name: str) -> torch.device:
    """Return the device called ``name``; 'auto' is the GPU if there is one.

    Raises:
        AsrkdError: the device does not exist.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise AsrkdError(f"--device {name}: expected cpu, cuda, cuda:0 ... or auto") from None
    if device.type not in ("cpu", "cuda"):
        raise AsrkdError(f"--device {name}: expected cpu, cuda, cuda:0 ... or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise AsrkdError(f"--device {name}: no usable GPU here; see: asrkd doctor")
    return device
