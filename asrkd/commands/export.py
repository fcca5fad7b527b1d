"""Command ``export``: a recognizer as ONNX files that sherpa-onnx runs.

Reads:   a model folder.
Writes:  the graphs, ``tokens.txt``, ``sherpa.json`` (how they are called), ``README.md`` and ``stamp.json``.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asrkd import __version__
from asrkd.core import files, output_folder
from asrkd.core.artifacts import EXPORT_REQUEST
from asrkd.core.command_record import write_command
from asrkd.core.errors import warn
from asrkd.core.installed import version
from asrkd.core.shell import command
from asrkd.deployment.export import Exported, ExportOptions, export_chunks, plan_export
from asrkd.deployment.exported import ExportedModel
from asrkd.deployment.onnx_file import onnx_bytes
from asrkd.deployment.quantized import quantized
from asrkd.deployment.readme import readme_text
from asrkd.deployment.tokens_file import looks_like_byte_bpe, tokens_text
from asrkd.models.directory import load_model
from asrkd.models.recognizer import LoadedModel, num_parameters

TOKENS = "tokens.txt"


@dataclass(frozen=True)
class ExportRequest:
    """Request of an export."""

    model: Path
    out: Path
    options: ExportOptions = ExportOptions()
    int8: bool = False


def export(request: ExportRequest) -> str:
    """Write the files of an export; return the text for the user.

    Raises:
        AsrkdError: sherpa-onnx cannot run the model, a package is missing, or the folder holds another.
    """
    model = load_model(request.model)
    with export_chunks(model, request.options):
        return _export(request, model)


def _export(request: ExportRequest, model: LoadedModel) -> str:
    plan = plan_export(model, request.options)
    offline_ctc = plan.kind == "offline-ctc"
    tokens = tokens_text(model.tokens.symbols, str(request.model), offline_ctc=offline_ctc)
    if looks_like_byte_bpe(model.tokens.symbols):
        warn(
            f"{request.model}: sherpa-onnx will take these tokens for byte-level BPE, and lose letters such "
            "as U+0189: compare its text with its tokens"
        )
    record = _record(request, model)
    if output_folder.claim(request.out, EXPORT_REQUEST, record) is output_folder.State.COMPLETE:
        return f"{request.out}: already complete, nothing to do"
    write_command(request.out)
    written = _write_graphs(request, plan)
    exported = _described(request, plan, model)
    _write_text(request.out / TOKENS, tokens)
    exported.save()
    _write_text(request.out / "README.md", readme_text(exported, model))
    output_folder.stamp(request.out, {"kind": plan.kind, "sha256": written, "model": str(request.model)})
    return (
        f"{request.out}: {plan.kind}, {', '.join(written)}; score what ships: "
        + command("asrkd", "score", str(request.out), "--runtime", "sherpa-onnx", "--cuts")
        + " CUTS --out FOLDER"
    )


def _record(request: ExportRequest, model: LoadedModel) -> dict[str, Any]:
    """Return what decides the files, as JSON: the torch that traces, and for int8 what quantizes."""
    quantizer = version("onnxruntime") if request.int8 else None
    return {
        "model": model.weights_sha256,
        "options": asdict(request.options),
        "int8": request.int8,
        "versions": {"asrkd": __version__, "torch": version("torch"), "onnxruntime": quantizer},
    }


def _write_graphs(request: ExportRequest, plan: Exported) -> dict[str, str]:
    """Write the graphs, and return the hashes of the files."""
    hashes = {}
    for name, graph in plan.graphs.items():
        path = request.out / _file_name(name, request.int8)
        contents = onnx_bytes(graph)
        if request.int8:
            contents = quantized(contents)
        with files.create_bytes(path) as stream:
            stream.write(contents)
        hashes[path.name] = files.sha256(path)
    return hashes


def _file_name(name: str, int8: bool) -> str:
    return name.replace(".onnx", ".int8.onnx") if int8 else name


def _described(request: ExportRequest, plan: Exported, model: LoadedModel) -> ExportedModel:
    features = model.architecture.features
    graphs = {argument: _file_name(name, request.int8) for argument, name in plan.arguments.items()}
    return ExportedModel(
        path=request.out,
        kind=plan.kind,
        recognizer=plan.recognizer,
        constructor=plan.constructor,
        files=graphs | {"tokens": TOKENS},
        arguments={"sample_rate": features.sampling_rate, "feature_dim": features.num_features},
        sampling_rate=features.sampling_rate,
        tail_frames=plan.tail_frames,
        frame_shift=features.frame_shift,
        model_sha256=model.weights_sha256,
        num_parameters=num_parameters(model.recognizer),
        chunk_frames=plan.chunks.frames,
        left_chunks=plan.chunks.left,
    )


def _write_text(path: Path, text: str) -> None:
    with files.create(path) as stream:
        stream.write(text)
