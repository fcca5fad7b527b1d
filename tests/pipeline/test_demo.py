"""The demo at its tiniest, as make runs it: every stage, every system, and nothing left to do afterwards."""

import os
import subprocess
from pathlib import Path

import pytest

from asrkd.data.cuts.manifests import read_cuts
from asrkd.evaluation.compare.comparison import read_comparison
from asrkd.models.directory import load_model
from tests import forked

ROOT = Path(__file__).parents[2]
SYSTEMS = ["teacher", "baseline", "seq-kd", "mvq-kd", "mvq-kd+seq-kd"]


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in this environment, with outputs in ``folder``."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    options = [f"VENV={forked.environment()}", "SIZE=tiny", f"DIGITS={folder}/data", f"DEMO={folder}/demo"]
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


def planned(folder: Path, *arguments: str) -> list[str]:
    """What `make demo` would still compare, report and show, a command line each."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    options = [f"VENV={forked.environment()}", "SIZE=tiny", f"DIGITS={folder}/data", f"DEMO={folder}/demo"]
    command = ["make", "--no-print-directory", "-n", *options, *arguments, "demo"]
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=True)
    assert "stages/" not in done.stdout  # all is trained and scored
    return [line for line in done.stdout.splitlines() if line.startswith(("asrkd ", "cat "))]


def test_the_table_is_of_the_seeds_that_are_asked_for_whatever_was_compared_last(tmp_path):
    demo = tmp_path / "demo"
    files = [tmp_path / "data/stamp.json"]
    for folder in (demo, demo / "seed-2", demo / "seed-3"):
        files += [folder / name / "stamp.json" for name in ("teacher", "nbest", "quantizer", "codebook")]
        files += [folder / name / "stamp.json" for name in SYSTEMS[1:]]
        files += [folder / name / "score-test/stamp.json" for name in SYSTEMS]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    of_three, of_one = demo / "compare-seeds-1-2-3", demo / "compare"

    compared, reported, shown = planned(tmp_path, "SEEDS=1 2 3")
    assert (
        all(f" {demo}/seed-{seed}/mvq-kd " in compared for seed in (2, 3)) and f" {demo}/mvq-kd " in compared
    )
    assert compared.endswith(f"--out {of_three}.json > {of_three}.txt")
    assert f"--comparison {of_three}.json" in reported and shown.startswith(f"cat {of_three}.txt ")
    for name in ("compare-seeds-1-2-3.json", "report-seeds-1-2-3.html"):
        (demo / name).touch()
    assert planned(tmp_path, "SEEDS=3 2 1") == [shown]  # the same seeds, and nothing to do

    compared, reported, shown = planned(tmp_path)  # seed 1 alone, compared afterwards
    assert "seed-" not in compared + reported + shown
    assert compared.endswith(f"--out {of_one}.json > {of_one}.txt") and shown.startswith(f"cat {of_one}.txt ")
    (demo / "compare.json").write_text(f'{{"model": "{demo}/teacher"}}')
    (demo / "report.html").touch()
    assert planned(tmp_path) == [shown]
    assert planned(tmp_path, "SEEDS=2")[-1].startswith(f"cat {demo}/compare-seeds-2.txt ")

    # What was left under this name by several seeds, when they had no name of their own.
    (demo / "compare.json").write_text(f'{{"model": "{demo}/seed-2/teacher"}}')
    (demo / "report.html").touch()
    assert planned(tmp_path) == [compared, reported, shown]
