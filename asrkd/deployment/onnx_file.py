"""ONNX files of graphs: the same bytes from every export of a model, and their metadata.

Graphs are traced by torch's TorchScript exporter, which both stacks have and
which writes the same bytes twice; torch 2 needs the package ``onnx`` for it.
Metadata is appended to the file as protobuf, each key once and sorted, so that
torch 1.13 needs no package at all.
"""

import importlib
import inspect
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError

OPSET = 17  # its files have IR version 8, which every sherpa-onnx since 1.12 reads
METADATA_FIELD = 14  # of ModelProto in onnx.proto: metadata_props, entries of key (1) and value (2)


@dataclass(frozen=True)
class Graph:
    """A module to be traced, with an example of its inputs."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    input_names: Sequence[str]
    output_names: Sequence[str]
    dynamic_axes: dict[str, dict[int, str]]
    metadata: Mapping[str, str] = field(default_factory=dict)


def onnx_bytes(graph: Graph) -> bytes:
    """Trace a graph and return the file with its metadata.

    Raises:
        AsrkdError: torch needs the package onnx, which is missing.
    """
    module, buffer = graph.module.eval(), io.BytesIO()  # the exporter restores the mode of what it traces
    options: dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
        _require_onnx()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of traced shapes and of the exporter's age
        torch.onnx.export(
            module,
            graph.inputs,
            buffer,  # type: ignore[arg-type]
            input_names=list(graph.input_names),
            output_names=list(graph.output_names),
            dynamic_axes=graph.dynamic_axes,
            opset_version=OPSET,
            do_constant_folding=True,
            **options,
        )
    return buffer.getvalue() + metadata_bytes(graph.metadata)


def _require_onnx() -> None:
    try:
        importlib.import_module("onnx")
    except ImportError:
        raise AsrkdError(
            'asrkd export: needs the package onnx with this torch: pip install "asrkd[deployment]"'
        ) from None


def metadata_bytes(metadata: Mapping[str, str]) -> bytes:
    """Encode metadata as fields of ModelProto, sorted by key."""
    encoded = b""
    for key, value in sorted(metadata.items()):
        entry = _text_field(1, key) + _text_field(2, value)
        encoded += _varint(METADATA_FIELD << 3 | 2) + _varint(len(entry)) + entry
    return encoded


def _text_field(number: int, text: str) -> bytes:
    raw = text.encode()
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    """Encode a number by seven bits a byte, the lowest first, as protobuf does."""
    encoded = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        if not number:
            return bytes([*encoded, low])
        encoded.append(low | 0x80)
