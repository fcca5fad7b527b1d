"""Reader and writer of quantizers of the ``multi_quantization`` package.

Its state dict has ``centers`` (N, K, D), ``logits_scale``, ``centers_scale``,
``to_logits.weight`` (N * K, D), ``to_logits.bias`` and ``id_buf``, eight hex
digits in ASCII; sizes follow from the shapes. It has no mean: on writing, the
mean is folded into the other parameters, so that indexes and vectors are equal.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.torch_pickle import read_state
from asrkd.quantizer.direct_sum import SCALE_SPEED, DirectSumQuantizer
from asrkd.quantizer.storage import filled, read_weights

ID_DIGITS = 8


def read_reference_state(state: Mapping[str, Tensor]) -> DirectSumQuantizer:
    """Make the quantizer of a state dict of ``multi_quantization``, whose ``centers`` are (N, K, D).

    The package does not center, so ``mean`` is zero; ``id_buf`` is not used.

    Raises:
        AsrkdError: a key is missing, the shapes do not fit, or a value is not finite.
    """
    centers = state.get("centers")
    if centers is None or centers.dim() != 3:
        raise AsrkdError(
            "multi_quantization state: expected 'centers' of shape (N, K, D); is it a Quantizer's state_dict?"
        )
    ours = {name: value for name, value in state.items() if name != "id_buf"}
    return filled("multi_quantization state", {**ours, "mean": torch.zeros(centers.shape[2])})


def reference_id(state: Mapping[str, Tensor]) -> str:
    """Return the quantizer id in a state dict, the ASCII of ``id_buf``, uint8 (digits,); '' if absent."""
    digits = state.get("id_buf")
    return "" if digits is None else bytes(digits.tolist()).decode("ascii", errors="replace")


@torch.no_grad()
def reference_state(quantizer: DirectSumQuantizer, identity: str) -> dict[str, Tensor]:
    """Make a state dict that ``multi_quantization`` loads, with equal indexes and vectors up to rounding.

    Its tensors are on the CPU: ``centers`` (N, K, D), ``to_logits.weight``
    (N * K, D), ``to_logits.bias`` (N * K,), both scales () and ``id_buf`` (8,).
    The mean goes into the biases of the classifiers, and an equal share of it
    into every center.

    Args:
        quantizer: quantizer whose N and K are powers of two.
        identity: hash of the quantizer in hex, whose first digits become the id.

    Raises:
        AsrkdError: N or K is not a power of two.
    """
    for what, size in (("codebooks", quantizer.num_codebooks), ("entries", quantizer.codebook_size)):
        if size & (size - 1):
            raise AsrkdError(f"multi_quantization: {size} {what}, expected a power of two")
    mean, to_logits = quantizer.mean.double(), quantizer.to_logits
    logits_factor = (SCALE_SPEED * quantizer.logits_scale.double()).exp()
    centers_factor = (SCALE_SPEED * quantizer.centers_scale.double()).exp()
    share = mean / (quantizer.num_codebooks * centers_factor)
    state = {
        "centers": (quantizer.centers.double() + share).float(),
        "logits_scale": quantizer.logits_scale,
        "centers_scale": quantizer.centers_scale,
        "id_buf": torch.tensor(list(identity[:ID_DIGITS].encode()), dtype=torch.uint8),
        "to_logits.weight": to_logits.weight,
        "to_logits.bias": (
            to_logits.bias.double() - logits_factor * (to_logits.weight.double() @ mean)
        ).float(),
    }
    return {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}


def write_reference(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict, tensors (...) by name, whole or not at all, as ``*.pt`` or ``*.safetensors``.

    Raises:
        AsrkdError: the name has another ending.
    """
    _check_name(path)
    with files.create_aside(path) as partial:
        if path.suffix == ".pt":
            torch.save(dict(state), partial)
        else:
            save_file(dict(state), str(partial))


def read_reference(path: Path) -> dict[str, Tensor]:
    """Read the tensors (...) by name of ``*.safetensors``, or of ``*.pt`` without running code in it.

    Raises:
        AsrkdError: no such file, neither format, or other values than tensors.
    """
    _check_name(path)
    if not path.is_file():
        raise AsrkdError(f"{path}: no such file")
    return read_weights(path) if path.suffix == ".safetensors" else read_state(path)


def _check_name(path: Path) -> None:
    if path.suffix not in (".pt", ".safetensors"):
        raise AsrkdError(f"{path}: expected a name that ends in .pt or .safetensors")
