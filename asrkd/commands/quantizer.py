"""Commands ``quantizer export``, ``import`` and ``plot``: exchange with multi_quantization; rate-distortion.

Reads:   folders of `asrkd distill quantizer`; import: a state dict.
Writes:  export: a state dict; import: a quantizer folder; plot: an SVG file.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd import __version__
from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.device import pick_device
from asrkd.core.errors import AsrkdError, counted
from asrkd.core.output_folder import State
from asrkd.evaluation.report.figures.rates import RateCurve, rate_figure
from asrkd.quantizer.multi_quantization import (
    read_reference,
    read_reference_state,
    reference_id,
    reference_state,
    write_reference,
)
from asrkd.quantizer.report import BYTES, QuantizerReport
from asrkd.quantizer.storage import load_quantizer, save_quantizer
from asrkd.teachers.loading import open_teacher


def export_quantizer(folder: Path, out: Path) -> str:
    """Write the quantizer in ``folder`` as a state dict of ``multi_quantization``.

    Returns:
        One line: the file and the constructor's arguments.

    Raises:
        AsrkdError: the quantizer is damaged, the package does not support its
            sizes, or ``out`` exists or is not named ``*.pt`` or ``*.safetensors``.
    """
    loaded = load_quantizer(folder)
    if out.exists():
        raise AsrkdError(f"{out}: exists already; give another --out")
    state = reference_state(loaded.quantizer, loaded.identity)
    write_reference(out, state)
    exported = loaded.quantizer
    return (
        f"{out}: Quantizer(dim={exported.dim}, codebook_size={exported.codebook_size}, "
        f"num_codebooks={exported.num_codebooks}), id {reference_id(state)}, the mean folded in"
    )


@dataclass(frozen=True)
class Source:
    """State dict of ``multi_quantization``, and the teacher and layer that it was trained on."""

    state: Path
    teacher: Path
    layer: int  # layer of the teacher, from 1
    tap: str | None = None  # 'before_norm' or 'after_norm'; None: the teacher's default
    device: str = "cpu"


def import_quantizer(source: Source, out: Path) -> str:
    """Make a quantizer folder from a state dict of ``multi_quantization``.

    Returns:
        One line: the folder and its codebooks.

    Raises:
        AsrkdError: the state is no quantizer, does not fit the teacher's layer, or
            ``out`` has other contents.
    """
    state = read_reference(source.state)
    try:
        quantizer = read_reference_state(state)
    except AsrkdError as error:
        raise AsrkdError(f"{source.state}: {error}") from None
    teacher = open_teacher(source.teacher, str(pick_device(source.device)))
    tap = teacher.tap(source.layer, source.tap)
    if quantizer.dim != (dim := teacher.layer_dim(tap)):
        raise AsrkdError(
            f"{source.state}: takes embeddings of {quantizer.dim} values, "
            f"layer {tap.layer} of {source.teacher} has {dim}"
        )
    record: dict[str, Any] = {
        "kind": "quantizer",
        "imported": {"id": reference_id(state), "sha256": files.sha256(source.state)},
        "computed_with": {"asrkd": __version__},
        "layer": tap.layer,
        "tap": tap.place,
        **teacher.contract(),
    }
    already = output_folder.claim(out, CONTRACT, record) is State.COMPLETE
    save_quantizer(out, quantizer, None, record)
    output_folder.stamp(out, {"id": reference_id(state)})
    sizes = f"{quantizer.num_codebooks} codebooks of {quantizer.codebook_size} entries for layer {tap.layer}"
    return f"{out}: {'already complete, ' if already else ''}{sizes}"


def plot_quantizers(folders: Sequence[Path], out: Path) -> str:
    """Plot the held-out errors of quantizers against their bytes per frame.

    The quantizers of one teacher's layer form a curve, beside Shannon's bound.

    Returns:
        One line: the file and the number of curves.

    Raises:
        AsrkdError: a quantizer has no report, as an imported one, or ``out`` does not end in .svg.
    """
    if out.suffix != ".svg":
        raise AsrkdError(f"{out}: expected a name that ends in .svg")
    curves: dict[str, RateCurve] = {}
    for folder in folders:
        loaded = load_quantizer(folder)
        report = QuantizerReport.of(loaded.report, folder)
        quantizer, contract = loaded.quantizer, loaded.contract
        teacher = str(contract.get("teacher", {}).get("weights_sha256", "?"))
        name = f"{teacher[:6]} layer {contract.get('layer', '?')}"
        curve = curves.setdefault(
            name, RateCurve(name, [], list(zip(BYTES, report.shannon_bounds, strict=True)))
        )
        size = quantizer.num_codebooks * math.log2(quantizer.codebook_size) / 8
        curve.errors.append((size, report.held_out_errors[-1]))
    with files.create(out) as stream:
        stream.write(rate_figure(list(curves.values())) + "\n")
    return f"{out}: {counted(len(folders), 'quantizer')} of {counted(len(curves), 'layer')}"
