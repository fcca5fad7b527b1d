"""How much memory encoding takes above what was there before it: KiB a frame, printed.

Usage:   python -m tests.bench.quantizer_memory FOLDER ours|theirs
"""

import ctypes
import gc
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from asrkd.quantizer.storage import filled
from tests.bench.quantizer_cases import as_reference

IN_FLIGHT = {"ours": 1024, "theirs": 32}


@torch.no_grad()
def main(folder: Path, which: str) -> None:
    """Encode once for what stays (tables, machine code), then all frames at once."""
    quantizer = filled("bench", load_file(str(folder / "quantizer")))
    frames = load_file(str(folder / "frames"))["frames"][: IN_FLIGHT[which]]
    if which == "ours":
        quantizer.encode(frames[:2])
        before = _resting()
        quantizer.encode(frames, chunk_frames=len(frames))
    else:
        theirs = as_reference(quantizer)
        theirs.encode(frames[:1])
        before = _resting()
        theirs.encode(frames)
    print(max(_resident("VmHWM") - before, 0) / len(frames))


def _resident(name: str) -> int:
    """KiB, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _resting() -> int:
    """KiB resident now, what is free given back; the peak is forgotten."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
