"""An hour as a stream: memory does not grow, and real-time factors on one thread, beside sherpa-onnx.

Each runs in a process of its own, on a model of the demo's student's size.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from asrkd.commands.export import ExportRequest, export
from asrkd.core.artifacts import SHERPA_CALL
from asrkd.data.features.fbank import make_extractor
from asrkd.decoding.transducer_streams import GreedyStreams
from asrkd.deployment.exported import ExportedModel
from asrkd.models.directory import load_model
from asrkd.models.streams import is_streaming
from tests.bench.row import Row
from tests.deployment.kinds import RATE, saved

SIZES = {
    "num_layers": 3,
    "dim": 32,
    "feed_forward_dim": 64,
    "kernel_size": 15,
    "chunk_frames": 8,
    "left_chunks": 4,
}
EARLY_S, LAST_S = 120, 3600  # seconds of audio after which the peak of the memory is taken
PIECE = 800  # samples that arrive at a time, 50 ms


def measure() -> Iterator[Row]:
    """MiB at the peak after an hour beside those after two minutes, and the real-time factors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(ExportRequest(saved("streaming-transducer", folder / "model", **SIZES), folder / "export"))
        steps, sherpa = (_in_a_process(program, folder) for program in ("steps", "sherpa"))
    yield Row("an hour in steps, peak MiB, by two minutes", steps["late"], steps["early"], "<= 1.02")
    yield Row("an hour in sherpa-onnx, peak MiB, by two minutes", sherpa["late"], sherpa["early"], "<= 1.02")
    yield Row("real-time factor, sherpa-onnx by steps, one thread", sherpa["rtf"], steps["rtf"], "")


def _in_a_process(program: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.stream_speed", program, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _pieces(size: int) -> Iterator[np.ndarray]:
    """Yield LAST_S seconds of noise, so many samples at a time."""
    rng = np.random.default_rng(1)
    for _ in range(LAST_S * RATE // size):
        yield (0.1 * rng.standard_normal(size)).astype(np.float32)


def _peak_mib() -> float:
    """Peak of this program; ru_maxrss would have that of the process that started it."""
    (line,) = (
        each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def steps(folder: Path) -> dict[str, float]:
    """Decode chunk by chunk by Conformer.step and the greedy search; features of each chunk by themselves.

    A chunk's first and last frames are not those of a stream, which costs as much.
    """
    torch.set_num_threads(1)
    recognizer = load_model(folder / "model").recognizer
    encoder, transducer = recognizer.encoder, recognizer.transducer
    assert is_streaming(encoder) and transducer is not None and encoder.chunks.frames is not None
    feature_frames = encoder.chunks.frames * encoder.subsampling
    extractor, state = make_extractor(80, RATE), encoder.start(1)
    streams, size = GreedyStreams(transducer, 1), feature_frames * RATE // 100
    early, started = 0.0, time.perf_counter()
    with torch.no_grad():
        for number, samples in enumerate(_pieces(size)):
            features = torch.from_numpy(extractor.extract(samples, RATE))[None, :feature_frames]
            frames, state = encoder.step(features, state)
            streams.advance(transducer.frames(frames), torch.tensor([frames.shape[1]]))
            if number * size < EARLY_S * RATE:
                early = _peak_mib()
    rtf = (time.perf_counter() - started) / LAST_S
    return {"early": early, "late": _peak_mib(), "rtf": rtf}


def sherpa(folder: Path) -> dict[str, float]:
    """Decode pieces of 50 ms as they arrive."""
    import sherpa_onnx

    exported = ExportedModel.load(folder / "export")
    assert (folder / "export" / SHERPA_CALL).is_file()
    paths = {name: str(exported.path / file) for name, file in exported.files.items()}
    recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(**paths, **exported.arguments, num_threads=1)
    stream, early, started = recognizer.create_stream(), 0.0, time.perf_counter()
    for number, samples in enumerate(_pieces(PIECE)):
        stream.accept_waveform(RATE, samples)
        while recognizer.is_ready(stream):
            recognizer.decode_stream(stream)
        if number * PIECE < EARLY_S * RATE:
            early = _peak_mib()
    rtf = (time.perf_counter() - started) / LAST_S
    return {"early": early, "late": _peak_mib(), "rtf": rtf}


if __name__ == "__main__":
    print(json.dumps({"steps": steps, "sherpa": sherpa}[sys.argv[1]](Path(sys.argv[2]))))
