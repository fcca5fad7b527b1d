"""The demo at its tiniest, as make runs it: every stage, every system, and nothing left to do afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asrkd.comparing.comparison import read_comparison
from asrkd.manifests import read_cuts
from asrkd.models.directory import load_model

ROOT = Path(__file__).parent.parent
SYSTEMS = ["teacher", "baseline", "seq-kd", "mvq-kd", "mvq-kd+seq-kd"]


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in this environment, with outputs in ``folder``."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    options = [f"VENV={sys.prefix}", "SIZE=tiny", f"DIGITS={folder}/data", f"DEMO={folder}/demo"]
    command = ["make", "--no-print-directory", "-j2", *options, *arguments, f"{folder}/demo/report.html"]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_tiny_demo_runs_every_stage_and_leaves_what_it_says(tmp_path):
    done = make(tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    comparison = read_comparison(tmp_path / "demo/compare.json")
    by_name = {system.name: system for system in comparison.systems}
    assert list(by_name) == SYSTEMS
    assert (comparison.teacher, comparison.baseline) == ("teacher", "baseline")
    assert by_name["baseline"].params <= by_name["teacher"].params / 10
    assert len({by_name[name].params for name in SYSTEMS[1:]}) == 1  # no objective leaves a trace
    for system in comparison.systems:
        assert system.costs.uncounted == []
        assert system.costs.multiply_adds_per_second > 1e5
    table = (tmp_path / "demo/compare.txt").read_text()
    assert all(name in table for name in SYSTEMS)
    said = (tmp_path / "demo/report.txt").read_text()
    assert said.startswith(f"{tmp_path}/demo/report.html: ") and said.count("\n") == 1
    page = (tmp_path / "demo/report.html").read_text()
    assert len(page) < 5_000_000
    for section in ("comparison", "training", "where", "targets", "inheritance", "utterances"):
        assert f'<section id="{section}"' in page
    assert "Left out: " not in page and "Its training labels, left out" not in page
    for split in ("train", "dev", "test"):
        assert read_cuts(tmp_path / f"data/cuts_{split}.jsonl.gz")
    for system in SYSTEMS:
        assert load_model(tmp_path / "demo" / system).tokens.size > 10
    assert make(tmp_path, "--question").returncode == 0  # make finds nothing to do
