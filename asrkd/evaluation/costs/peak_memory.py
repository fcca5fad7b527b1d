"""Peak memory of recognition, measured in a separate process that does nothing else.

By hand because a profiler of this process would include the models that it holds, and tracemalloc, which
sees Python's allocations, would miss torch's.

Usage:   python -m asrkd.evaluation.costs.peak_memory MODEL FEATURES      (run by measure_memory)
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import one_thread
from asrkd.evaluation.costs.real_time import recognize
from asrkd.models.directory import load_model

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class ResidentMemory:
    """Resident memory of a process, in bytes."""

    peak: int
    idle: int  # before the model was loaded: Python, torch and the features


def measure_memory(model: Path, utterances: Sequence[Tensor]) -> ResidentMemory:
    """Measure the memory of a new process that recognizes ``utterances`` on one thread.

    Args:
        model: model folder.
        utterances: (T, F) features each.

    Raises:
        AsrkdError: the process failed, perhaps for lack of memory.
    """
    root = str(Path(__file__).parents[3])
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "OMP_NUM_THREADS": "1",
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "features.safetensors"
        save_file({f"{n:06d}": features.contiguous() for n, features in enumerate(utterances)}, str(path))
        command = [sys.executable, "-m", __spec__.name, str(model), str(path)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise AsrkdError(
            f"{model}: memory cannot be measured: {reason}; check that asrkd score works with this model"
        )
    return ResidentMemory(**json.loads(done.stdout))


def _recognize_all(model: Path, path: Path) -> ResidentMemory:
    with one_thread():
        utterances = load_file(str(path))
        idle = _resident("VmRSS")
        loaded = load_model(model)
        for name in sorted(utterances):
            recognize(loaded, utterances[name])
    return ResidentMemory(_resident("VmHWM"), idle)


def _resident(field: str) -> int:
    """Return the resident memory in bytes: current (VmRSS) or peak (VmHWM).

    Without /proc, both are the peak by getrusage. On Linux getrusage is not used, since a process inherits
    the value of the process that started it.
    """
    if not STATUS.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(lines[field].split()[0]) * 1024


if __name__ == "__main__":
    print(json.dumps(asdict(_recognize_all(Path(sys.argv[1]), Path(sys.argv[2])))))
