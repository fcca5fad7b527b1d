"""Encoding with the same centers and frames as ``multi_quantization``: pace, error and memory."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from safetensors.torch import save_file
from torch import Tensor

from asrkd.quantizer.report import relative_error
from tests.bench.quantizer_cases import SIZES, as_reference, has_reference, trained
from tests.bench.row import Row

ROUNDS = 5  # in turns
THEIRS = 64  # frames, of those that ours are timed on
REFINEMENTS = 5


def measure() -> Iterator[Row]:
    """For each size: frames per second, the error, one classifier pass, and kibibytes a frame."""
    if not has_reference():
        return
    for dim, num_codebooks in SIZES:
        quantizer, frames = trained(dim, num_codebooks)
        theirs, few = as_reference(quantizer), frames[:THEIRS]
        ways: dict[str, Callable[[], Tensor]] = {
            "ours": lambda quantizer=quantizer, frames=frames: quantizer.encode(frames),
            "theirs": lambda theirs=theirs, few=few: theirs.encode(few, REFINEMENTS),
            "classifiers": lambda quantizer=quantizer, frames=frames: quantizer.logits(
                frames - quantizer.mean
            ).argmax(dim=-1),
        }
        ways["ours"]()  # compiled, and its tables made
        seconds = {name: median(times) for name, times in _in_turns(ways).items()}
        name = f"D={dim} N={num_codebooks}"
        pace, their_pace = len(frames) / seconds["ours"], len(few) / seconds["theirs"]
        yield Row(f"encode {name}, frames/s, beside multi_quantization", pace, their_pace, ">= 20")
        errors = [relative_error(quantizer, few, way()[: len(few)]) for way in list(ways.values())[:2]]
        yield Row(f"encode {name}, relative error, beside it", errors[0], errors[1], "<= 1")
        floor = 1e6 * seconds["classifiers"] / len(frames)
        yield Row(f"encode {name}, us/frame, beside one classifier pass", 1e6 / pace, floor, "1 is the floor")
        with TemporaryDirectory() as folder:
            save_file(dict(quantizer.state_dict()), f"{folder}/quantizer")
            save_file({"frames": frames}, f"{folder}/frames")
            ours_kib, theirs_kib = (_memory(Path(folder), which) for which in ("ours", "theirs"))
        yield Row(f"encode {name}, KiB a frame in flight, beside it", ours_kib, theirs_kib, "ours <= 64")


def _in_turns(ways: dict[str, Callable[[], Tensor]]) -> dict[str, list[float]]:
    """Seconds of each way, one after the other, so often."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started_at = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - started_at)
    return times


def _memory(folder: Path, which: str) -> float:
    """KiB a frame, in a process of its own."""
    words = [sys.executable, "-m", "tests.bench.quantizer_memory", str(folder), which]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
