"""A quantizer in a folder.

``quantizer.safetensors`` holds the parameters and ``quantizer.json`` what
they are: sizes, what was asked, how well it does. The JSON is written last
and names the hash of the weights, so a folder with a matching pair is whole.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd.core import config, files
from asrkd.core.artifacts import QUANTIZER_DESCRIPTION, QUANTIZER_WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Positive, Record, Schema
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.report import QuantizerReport

VERSION = 1
MAKER = "asrkd distill quantizer --teacher ... --cuts ... --out ..."


@dataclass(frozen=True)
class LoadedQuantizer:
    """A quantizer and the name by which its codes know it."""

    quantizer: DirectSumQuantizer
    identity: str  # sha256 of the weights file, hex
    contract: dict[str, Any]  # what it was made from, as it was given to save_quantizer
    report: dict[str, Any]  # a QuantizerReport's fields; empty if it was not trained here


class _Contract(Record):
    """What a quantizer was made from, as far as its readers go by it."""

    teacher: dict[str, Any] = {}
    layer: Positive = 1
    tap: str = ""


_CONTRACT: Schema[Any] = Schema(_Contract)


class _Description(config.Section):
    version: int = Field(ge=VERSION, le=VERSION)
    dim: int = Field(ge=1)
    num_codebooks: int = Field(ge=1)
    codebook_size: int = Field(ge=2, le=256)
    identity: str
    report: dict[str, Any]
    contract: dict[str, Any]


def save_quantizer(
    out: Path, quantizer: DirectSumQuantizer, report: QuantizerReport | None, contract: dict[str, Any]
) -> str:
    """Write a quantizer into the folder ``out`` and return its identity.

    Args:
        out: made if it is absent.
        quantizer: on any device.
        report: how well it does; None if that is not known.
        contract: JSON-able; what decides the weights: teacher, layer, cuts, options. No times.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in quantizer.state_dict().items()}
    with files.create_aside(out / QUANTIZER_WEIGHTS) as partial:
        save_file(state, str(partial))
    identity = files.sha256(out / QUANTIZER_WEIGHTS)
    description = _Description(
        version=VERSION,
        dim=quantizer.dim,
        num_codebooks=quantizer.num_codebooks,
        codebook_size=quantizer.codebook_size,
        identity=identity,
        report={} if report is None else asdict(report),
        contract=contract,
    )
    files.write_json(out / QUANTIZER_DESCRIPTION, description.model_dump())
    return identity


def is_whole(path: Path) -> bool:
    """Whether the folder ``path`` holds a quantizer: weights, and the description that names their hash."""
    try:
        load_quantizer(path)
    except AsrkdError:
        return False
    return True


def load_quantizer(path: Path) -> LoadedQuantizer:
    """Read the quantizer in the folder ``path``.

    Raises:
        AsrkdError: it is missing, torn, of another version, or its weights
            are not those that it describes.
    """
    for name in (QUANTIZER_DESCRIPTION, QUANTIZER_WEIGHTS):
        if not (path / name).is_file():
            raise AsrkdError(f"{path / name}: no such file; make a quantizer with: {MAKER}")
    description = config.parse(
        _Description, files.read_json(path / QUANTIZER_DESCRIPTION), str(path / QUANTIZER_DESCRIPTION)
    )
    try:
        _CONTRACT.check(description.contract)
    except ValueError as error:
        raise AsrkdError(
            f"{path / QUANTIZER_DESCRIPTION}: contract: {error}; make it anew with: {MAKER}"
        ) from None
    identity = files.sha256(path / QUANTIZER_WEIGHTS)
    if identity != description.identity:
        raise AsrkdError(
            f"{path / QUANTIZER_WEIGHTS}: sha256 {identity[:8]}, but {QUANTIZER_DESCRIPTION} says "
            f"{description.identity[:8]}: torn or exchanged; make it anew with: {MAKER}"
        )
    quantizer = filled(path / QUANTIZER_WEIGHTS, read_weights(path / QUANTIZER_WEIGHTS))
    found = (quantizer.dim, quantizer.num_codebooks, quantizer.codebook_size)
    if found != (description.dim, description.num_codebooks, description.codebook_size):
        raise AsrkdError(
            f"{path / QUANTIZER_WEIGHTS}: D, N, K are {found}, {QUANTIZER_DESCRIPTION} says otherwise; "
            f"make it anew with: {MAKER}"
        )
    return LoadedQuantizer(quantizer, identity, description.contract, description.report)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file, by name and of whatever shapes (...) it holds.

    Raises:
        AsrkdError: it cannot be read, or is no such file; it is named.
    """
    try:
        return load_file(str(path))
    except (SafetensorError, ValueError, OSError) as error:
        raise AsrkdError(f"{path}: not safetensors ({error}); make it anew with: {MAKER}") from None


def filled(where: Path | str, state: Mapping[str, Tensor]) -> DirectSumQuantizer:
    """A quantizer with the parameters ``state``, in evaluation mode and without gradients.

    They are those of a :class:`DirectSumQuantizer` by name: ``centers`` (N, K, D), ``mean`` (D,) and so on.

    Raises:
        AsrkdError: which starts with ``where``: they are not a quantizer's, or not finite.
    """
    centers = state.get("centers", torch.zeros(0))
    try:
        num_codebooks, codebook_size, dim = centers.shape
        quantizer = DirectSumQuantizer(dim, num_codebooks, codebook_size)
        quantizer.load_state_dict(dict(state))
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise AsrkdError(f"{where}: not a direct-sum quantizer: {reason}") from None
    if not all(value.isfinite().all() for value in state.values()):
        raise AsrkdError(f"{where}: holds a NaN or an infinity; make it anew with: {MAKER}")
    return quantizer.eval().requires_grad_(False)
