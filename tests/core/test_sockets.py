"""Worker processes where TMPDIR is too long for the sockets between them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LISTEN = """
import tempfile
from multiprocessing.connection import Listener
from multiprocessing.util import get_temp_dir
from asrkd.core.sockets import keep_sockets_short

before = tempfile.gettempdir()
keep_sockets_short()
assert tempfile.gettempdir() == before
with Listener(get_temp_dir() + "/listener-12345678"):
    print(get_temp_dir())
"""
TASKS = """
from asrkd.core.parallel import run_tasks
from tests.core.test_parallel import Watch, square

if __name__ == "__main__":
    print(sorted(run_tasks(square, [1, 2, 3], jobs=2, watch=Watch())))
"""
LOADER = """
import torch
from asrkd.training.loader import load_batches

class Reader:
    def __getitem__(self, size):
        return torch.eye(size)

print(sum(batch.sum().item() for batch in load_batches(Reader(), [4, 3, 2], workers=2)))
"""


def run(script: str, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir())
    return done.stdout.strip()


@pytest.mark.parametrize(("length", "fits"), [(75, True), (76, False), (120, False)])
def test_a_socket_fits_below_any_temporary_folder(length, fits):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own is longer
        folder = Path(name, "x" * (length - len(name) - 1))
        assert Path(run(LISTEN, folder)).parent == (folder if fits else Path("/tmp"))


@pytest.mark.slow
def test_worker_processes_start_below_a_long_temporary_folder(tmp_path):
    folder = tmp_path / ("x" * 100)
    assert run(TASKS, folder) == "[(1, 1), (2, 4), (3, 9)]"


@pytest.mark.slow
def test_loader_processes_read_below_a_long_temporary_folder(tmp_path):
    assert run(LOADER, tmp_path / ("x" * 100)) == "9.0"
