"""The demo at its tiniest, as make runs it: every stage, every system, and nothing left to do afterwards."""

from pathlib import Path

import pytest

from asrkd.data.cuts.manifests import read_cuts
from asrkd.evaluation.compare.comparison import read_comparison
from asrkd.models.directory import load_model
from tests.running_stages import make, record

SYSTEMS = ["teacher", "baseline", "seq-kd", "mvq-kd", "mvq-kd+seq-kd"]


def written(folder: Path) -> dict[str, int]:
    """When each file was last written, by its path."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.slow
def test_the_tiny_demo_runs_every_stage_and_leaves_what_it_says(tmp_path):
    done = make(tmp_path, "demo")
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
    reported = (tmp_path / "demo/report.txt").read_text()
    assert reported.startswith(f"{tmp_path}/demo/report.html: ") and reported.count("\n") == 1
    assert done.stdout.endswith(table + reported)
    page = (tmp_path / "demo/report.html").read_text()
    assert len(page) < 5_000_000
    for section in ("comparison", "training", "where", "targets", "inheritance", "utterances"):
        assert f'<section id="{section}"' in page
    assert "Left out: " not in page and "Its training labels, left out" not in page
    for split in ("train", "dev", "test"):
        assert read_cuts(tmp_path / f"data/cuts_{split}.jsonl.gz")
    for system in SYSTEMS:
        assert load_model(tmp_path / "demo" / system).tokens.size > 10
    before = written(tmp_path)
    again = make(tmp_path, "demo")
    assert again.returncode == 0 and again.stdout.endswith(table + reported)
    assert again.stdout.count("already complete") == 16  # corpus, trainings, targets, scores, an export
    assert written(tmp_path) == before  # nothing was left to do


def test_the_table_has_the_requested_seeds_after_any_other(tmp_path):
    demo = tmp_path / "demo"
    files = [tmp_path / "data/stamp.json"]
    for folder in (demo, demo / "seed-2", demo / "seed-3"):
        files += [folder / name / "stamp.json" for name in ("teacher", "nbest", "quantizer", "codebook")]
        files += [folder / name / "stamp.json" for name in SYSTEMS[1:]]
        files += [folder / name / "score-test/stamp.json" for name in SYSTEMS]
        files += [folder / "seq-kd/export" / name for name in ("stamp.json", "score-test/stamp.json")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{\n"wer": 0.5\n}')
    of_three, of_one = demo / "compare-seeds-1-2-3", demo / "compare"

    def tables(seeds: str = "1") -> list[str]:
        """The commands that compare and report, a line each."""
        run = record(tmp_path, "demo/run.sh", "digits", SEEDS=seeds)
        assert run.unfinished() == []  # all is trained and scored
        assert len(run.of("train")) == 5 * len(seeds.split())
        name = "compare" if seeds == "1" else f"compare-seeds-{'-'.join(sorted(seeds.split()))}"
        shown = (demo / f"{name}.txt", demo / f"{name.replace('compare', 'report')}.txt")
        assert run.stdout == "".join(path.read_text() for path in shown)
        return run.of("compare", "report")

    compared, reported = tables("1 2 3")
    assert (
        all(f" {demo}/seed-{seed}/mvq-kd " in compared for seed in (2, 3)) and f" {demo}/mvq-kd " in compared
    )
    assert compared.endswith(f"--out {of_three}.json")
    assert of_three.with_suffix(".txt").read_text() == f"{compared}\n"
    assert f"--comparison {of_three}.json" in reported
    assert tables("3 2 1") == []  # the same seeds, and nothing to do

    compared, reported = tables()  # seed 1 alone, compared afterwards
    assert "seed-" not in compared + reported
    assert compared.endswith(f"--out {of_one}.json")
    assert of_one.with_suffix(".txt").read_text() == f"{compared}\n"
    (demo / "compare.json").write_text(f'{{"model": "{demo}/teacher"}}')
    (demo / "report.html").touch()
    assert tables() == []
    assert tables("2")[0].endswith(f"--out {demo}/compare-seeds-2.json")

    # The name held a table of several seeds before these had names of their own.
    (demo / "compare.json").write_text(f'{{"model": "{demo}/seed-2/teacher"}}')
    (demo / "report.html").touch()
    assert tables() == [compared, reported]
    (demo / "mvq-kd/score-test/stamp.json").touch()  # scored again
    assert tables() == [compared, reported]


def test_no_training_begins_after_one_that_failed(tmp_path):
    recorder = tmp_path / "fails.sh"
    recorder.write_text("case $* in *seed-2*teacher*) exit 3 ;; esac\n")
    with pytest.raises(AssertionError):
        record(tmp_path, "demo/run.sh", "digits", SEEDS="1 2 3", AT_ONCE="1", BASH_ENV=str(recorder))
    started = [
        line.split("--out ")[1].split()[0] for line in (tmp_path / "record.txt").read_text().splitlines()
    ]
    assert started == [f"{tmp_path}/data", f"{tmp_path}/demo/teacher", f"{tmp_path}/demo/baseline"]
