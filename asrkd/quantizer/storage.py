"""Quantizer folders: parameters in safetensors, and a description with contract and report.

``quantizer.safetensors`` holds the parameters, ``quantizer.json`` the sizes, the
contract and the report. The JSON is written last and holds the hash of the
weights, so a folder with a matching pair is whole.
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
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.schema import Positive, Record, Schema
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.report import QuantizerReport

VERSION = 1
MAKER = "asrkd distill quantizer --teacher ... --cuts ... --out ..."


@dataclass(frozen=True)
class LoadedQuantizer:
    """Quantizer of a folder, with the identity that codebook stores refer to."""

    quantizer: DirectSumQuantizer
    identity: str  # sha256 of the weights file, hex
    contract: dict[str, Any]  # as passed to save_quantizer
    report: dict[str, Any]  # fields of a QuantizerReport; empty if asrkd did not train it


class _Contract(Record):
    """Fields of a contract that readers use."""

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
        out: folder, created if absent.
        quantizer: quantizer, on any device.
        report: figures on held-out frames; None if unknown.
        contract: all that decides the weights, as JSON: teacher, layer, cuts, options. No times.
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
    """Return whether a folder holds a whole quantizer: weights, and a description with their hash."""
    try:
        load_quantizer(path)
    except AsrkdError:
        return False
    return True


def load_quantizer(path: Path) -> LoadedQuantizer:
    """Read the quantizer in the folder ``path``.

    Raises:
        AsrkdError: the quantizer is missing, torn, of another version, or has
            weights that do not fit its description.
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
            f"{path / QUANTIZER_DESCRIPTION}: contract: {error}; make it again with: {MAKER}"
        ) from None
    identity = files.sha256(path / QUANTIZER_WEIGHTS)
    if identity != description.identity:
        raise AsrkdError(
            f"{path / QUANTIZER_WEIGHTS}: sha256 {identity[:8]}, but {QUANTIZER_DESCRIPTION} says "
            f"{description.identity[:8]}: torn or replaced; make it again with: {MAKER}"
        )
    quantizer = filled(path / QUANTIZER_WEIGHTS, read_weights(path / QUANTIZER_WEIGHTS))
    sizes = (quantizer.dim, quantizer.num_codebooks, quantizer.codebook_size)
    described = (description.dim, description.num_codebooks, description.codebook_size)
    if sizes != described:
        raise AsrkdError(
            f"{path / QUANTIZER_WEIGHTS}: D, N, K are {sizes}, {QUANTIZER_DESCRIPTION} has {described}; "
            f"make it again with: {MAKER}"
        )
    return LoadedQuantizer(quantizer, identity, description.contract, description.report)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors (...) by name of a safetensors file.

    Raises:
        AsrkdError: no such file, or one that cannot be read.
    """
    try:
        return load_file(str(path))
    except (SafetensorError, ValueError, OSError) as error:
        raise AsrkdError(f"{path}: not safetensors ({error}); make it again with: {MAKER}") from None


def filled(where: Path | str, state: Mapping[str, Tensor]) -> DirectSumQuantizer:
    """Make a quantizer with the parameters ``state``, in evaluation mode and without gradients.

    Args:
        where: file of the parameters, for messages.
        state: parameters of a :class:`DirectSumQuantizer` by name: ``centers`` (N, K, D), ``mean`` (D,) ...

    Raises:
        AsrkdError: the parameters are not those of a quantizer, or not finite.
    """
    centers = state.get("centers", torch.zeros(0))
    try:
        num_codebooks, codebook_size, dim = centers.shape
        quantizer = DirectSumQuantizer(dim, num_codebooks, codebook_size)
        quantizer.load_state_dict(dict(state))
    except (ValueError, RuntimeError) as error:
        raise AsrkdError(f"{where}: not a direct-sum quantizer: {error_text(error)}") from None
    if not all(value.isfinite().all() for value in state.values()):
        raise AsrkdError(f"{where}: has a NaN or an infinity; make it again with: {MAKER}")
    return quantizer.eval().requires_grad_(False)
