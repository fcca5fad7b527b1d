"""README of an export: the exact calls of sherpa-onnx, in Python and on the command line."""

import json

from asrkd.deployment.exported import ExportedModel
from asrkd.models.recognizer import LoadedModel

PROGRAMS = {
    "offline-ctc": ("sherpa-onnx-offline", {"model": "zipformer-ctc-model"}),
    "offline-transducer": ("sherpa-onnx-offline", {}),
    "streaming-ctc": ("sherpa-onnx", {"model": "zipformer2-ctc-model"}),
    "streaming-transducer": ("sherpa-onnx", {}),
}


def readme_text(exported: ExportedModel, model: LoadedModel) -> str:
    """Return the README of an export of ``model``."""
    streaming = exported.tail_frames > 0
    blocks = [
        f"# {model.path.name}: {exported.kind} for sherpa-onnx",
        f"Weights {exported.model_sha256[:16]}, {exported.sampling_rate} Hz, "
        f"{exported.arguments['feature_dim']} log-mel features as sherpa-onnx computes them. "
        "sherpa-onnx 1.12.26 or later.",
        "\n".join(["```python", *_python(exported, streaming), "```"]),
        f"```bash\n{_program(exported, streaming)}\n```",
        "The sampling rate is not in the files: without `sample_rate` sherpa-onnx resamples to 16 kHz, and "
        "decodes other tokens.",
    ]
    if streaming:
        blocks.append(_of_streams(exported))
    if exported.kind.endswith("transducer"):
        blocks.append(
            "Encoder and decoder hold the projections to the joiner's size; the decoder is the predictor. A "
            "frame emits one token at most."
        )
    if any("int8" in name for name in exported.files.values()):
        blocks.append("The matrices are int8: results depend on the batch. Score it before it ships.")
    return "\n\n".join(blocks) + "\n"


def _of_streams(exported: ExportedModel) -> str:
    """Describe chunk, latency and the silence that a caller has to append."""
    chunk_ms = round(1000 * exported.tail_frames * exported.frame_shift)
    return (
        f"A chunk is {exported.chunk_frames} encoder frames ({chunk_ms} ms), with {exported.left_chunks} "
        f"chunks of left context. A step needs {exported.tail_frames + 1} feature frames, so that its result "
        f"comes {chunk_ms + 18} ms after its first sample. **Append {chunk_ms} ms of silence at the end** "
        "(zeros of audio), or the last words are lost."
    )


def _python(exported: ExportedModel, streaming: bool) -> list[str]:
    arguments = exported.files | exported.arguments
    call = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
    lines = [
        "import soundfile, sherpa_onnx" + (", numpy" if streaming else ""),
        f"recognizer = sherpa_onnx.{exported.recognizer}.{exported.constructor}({call})",
        'samples, rate = soundfile.read("audio.wav", dtype="float32")',
        "stream = recognizer.create_stream()",
        "stream.accept_waveform(rate, samples)",
    ]
    if not streaming:
        return [*lines, "recognizer.decode_stream(stream)", "print(stream.result.text)"]
    return [
        *lines,
        f"silence = numpy.zeros({exported.tail_samples}, dtype=numpy.float32)",
        f"stream.accept_waveform({exported.sampling_rate}, silence)",
        "stream.input_finished()",
        "while recognizer.is_ready(stream):",
        "    recognizer.decode_stream(stream)",
        "print(recognizer.get_result(stream))",
    ]


def _program(exported: ExportedModel, streaming: bool) -> str:
    name, options = PROGRAMS[exported.kind]
    words = [f"--{options.get(argument, argument)}={file}" for argument, file in exported.files.items()]
    words += [f"--sample-rate={exported.sampling_rate}", f"--feat-dim={exported.arguments['feature_dim']}"]
    if streaming:
        # The program appends 0.8 s itself, and begins with 0.5 s, which the model has not been trained with.
        words += ["--left-padding=0", f"--tail-padding={exported.tail_frames * exported.frame_shift:g}"]
    return " ".join([name, *words, "audio.wav"])
