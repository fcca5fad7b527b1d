"""Eight-bit copies of ONNX files: weights of matrix products as int8, activations quantized as they come.

By onnxruntime's dynamic quantization of MatMul alone, which is icefall's choice
(of the predictor Gather too). Results depend on the batch and on the cut of a
stream, as activations are scaled by tensor: score an int8 model before it ships.
"""

import contextlib
import importlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from asrkd.core.errors import AsrkdError

OPERATIONS = ("MatMul",)


def quantized(contents: bytes) -> bytes:
    """Return an ONNX file with its matrices in int8.

    Args:
        contents: the file with float weights; its metadata is kept.

    Raises:
        AsrkdError: the packages onnx and onnxruntime are missing.
    """
    try:
        quantization = importlib.import_module("onnxruntime.quantization")
    except ImportError:
        raise AsrkdError('--int8: needs onnx and onnxruntime; pip install "asrkd[deployment]"') from None
    # It prints a line for each product whose type it cannot infer.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), _quiet():
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(contents)
        quantization.quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=list(OPERATIONS),
            weight_type=quantization.QuantType.QInt8,
        )
        return target.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
