"""Peak memory of the whole demo: proportional set size of its process tree, looked at every two seconds."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.bench.row import Row

LIMIT_GIB = 2.5


def measure() -> Iterator[Row]:
    """Gibibytes at the peak of `make demo`, run from nothing into folders of its own, beside the limit."""
    with tempfile.TemporaryDirectory(dir="exp") as name:
        folders = [f"DIGITS={Path(name)}/data", f"DEMO={Path(name)}/demo"]
        demo = subprocess.Popen(["make", "demo", *folders], stdout=subprocess.DEVNULL, env=_environment())
        peak = 0
        while demo.poll() is None:
            peak = max(peak, _pss(psutil.Process(demo.pid)))
            time.sleep(2)  # a look costs a tenth of a second of a core
    if demo.returncode:
        raise SystemExit(f"make demo ended with {demo.returncode}")
    yield Row("memory of make demo, peak GiB, beside the limit", peak / 2**30, LIMIT_GIB, "<= 1")


def _environment() -> dict[str, str]:
    """Ours without make's own variables, so that the demo is as if called by a person."""
    return {
        key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }


def _pss(root: psutil.Process) -> int:
    """Bytes of a process and all below it, shared pages counted once."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended meanwhile
            continue
    return total
