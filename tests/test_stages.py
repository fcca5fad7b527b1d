"""What stands under stages: configs that can be read, shell scripts, and the tiniest tables of MVQ-KD."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asrkd.comparing.comparison import read_comparison
from asrkd.config import load
from asrkd.training.config import TrainConfig

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "stages").glob("*/conf/*.yaml"))
SCRIPTS = sorted((ROOT / "stages").rglob("*.sh"))
ROWS = ["baseline", "mvq-1", "mvq-16", "l2", "live"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_configs_of_all_recipes_can_be_read(path):
    experiment = load(TrainConfig, path)
    for phase in experiment.phases:
        for entry in phase.objectives:
            targets = getattr(entry.settings, "targets", "transcript")
            assert targets == "transcript" or targets in experiment.stores.values()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_scripts_of_all_recipes_are_shell(path):
    subprocess.run(["bash", "-n", str(path)], check=True)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in this environment, with outputs in ``folder``."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    options = [f"VENV={sys.prefix}", "SIZE=tiny", f"DIGITS={folder}/data", f"DEMO={folder}/demo"]
    command = ["make", "--no-print-directory", *options, *arguments, "mvq-digits"]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_tiny_tables_of_mvq_kd_have_every_row_with_its_seeds_and_what_it_stores(tmp_path):
    wanted = [f"MVQ_ROWS={' '.join(ROWS)}", "MVQ_DECIDING=l2", "MVQ_MORE_SEEDS=2"]
    done = make(tmp_path, *wanted)
    assert done.returncode == 0, done.stderr[-2000:]
    mvq = tmp_path / "demo/mvq"
    first, several = (read_comparison(mvq / f"{name}.json").systems for name in ("compare", "seeds"))
    assert [system.name for system in first] == ["teacher", *ROWS]
    assert {system.params for system in first[1:]} == {first[1].params}  # no head is exported
    assert len(several) == 3 and "l2" in [system.name for system in several]
    one, other = ((mvq / f"seed-1/{row}/model.safetensors").read_bytes() for row in ("l2", "live"))
    assert one == other  # a teacher that is asked says what was stored
    lines = {line.split()[0]: line.split() for line in (mvq / "storage.txt").read_text().splitlines()}
    assert list(lines) == ["targets", "codebook-1", "codebook-16", "hidden"]
    smaller = {name: float(values[2]) for name, values in lines.items() if name != "targets"}
    assert smaller["codebook-1"] > smaller["codebook-16"] > 10 > 1 >= smaller["hidden"] > 0.9
    before = {path: path.stat().st_mtime_ns for path in mvq.rglob("model.safetensors")}
    assert make(tmp_path, *wanted).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in mvq.rglob("model.safetensors")} == before
