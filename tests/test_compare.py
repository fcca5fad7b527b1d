"""The stage `compare`: a table with means and spreads, a list for programs, and refusals."""

import json
import shutil
import statistics
from pathlib import Path

import pytest

from asrkd.compare import compare
from asrkd.errors import AsrkdError
from asrkd.score import ScoreRequest, score
from asrkd.stopping import StopRequest


def make_model(
    folder: Path, seed: int, errors: int, *, words: int = 200, seconds: float | None = 10.0
) -> Path:
    """A model folder as `train` and `score` leave it, with what `compare` reads."""
    (folder / "score-test").mkdir(parents=True)
    counts = {"hits": words - errors, "substitutions": errors - 1, "deletions": 0, "insertions": 1}
    scored = {"wer": errors / words, "params": 12345, "counts": {**counts, "reference_length": words}}
    (folder / "score-test/score.json").write_text(json.dumps(scored))
    (folder / "config.json").write_text(json.dumps({"experiment": {"seed": seed}}))
    records = [{"kind": "train", "step": 1}]
    records += [] if seconds is None else [{"kind": "end", "step": 2, "train_seconds": seconds}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    return [
        make_model(tmp_path / "1/teacher", 1, 10),
        make_model(tmp_path / "1/student", 1, 20, seconds=30.0),
        make_model(tmp_path / "2/student", 2, 25, seconds=40.0),
        make_model(tmp_path / "3/student", 3, 33, seconds=None),
    ]


def test_the_table_has_mean_and_spread_of_the_seeds(folders):
    header, rule, teacher, student = compare(folders, "score-test", None).text().splitlines()
    assert header.split() == ["system", "params", "seeds", "WER", "%", "errors", "/", "words", "train", "s"]
    assert set(rule) == {"-"}
    assert teacher.split() == ["teacher", "12,345", "1", "5.00", "10", "/", "200", "10"]
    rates = [10.0, 12.5, 16.5]
    assert f"{statistics.mean(rates):.2f} ± {statistics.stdev(rates):.2f}" in student
    assert "20 / 200; 25 / 200; 33 / 200" in student
    assert "1 2 3" in student


def test_the_list_has_every_seed_and_what_was_counted(folders, tmp_path):
    result = compare(folders[:3], "score-test", tmp_path / "out" / "results.json")
    assert json.loads((tmp_path / "out/results.json").read_text()) == [
        {
            "system": system,
            "seed": seed,
            "wer": errors / 200,
            "errors": errors,
            "words": 200,
            "params": 12345,
            "train_seconds": seconds,
        }
        for system, seed, errors, seconds in (
            ("teacher", 1, 10, 10.0),
            ("student", 1, 20, 30.0),
            ("student", 2, 25, 40.0),
        )
    ]
    assert [found.system for found in result.results] == ["teacher", "student", "student"]


def test_what_was_scored_by_the_stages_can_be_compared(teacher, corpus, tmp_path):
    folder = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    report = score(ScoreRequest(folder, corpus / "cuts_dev.jsonl.gz", folder / "score-dev"), StopRequest())
    (found,) = compare([folder], "score-dev", None).results
    assert found.wer == report.counts.wer
    assert (found.errors, found.words) == (report.counts.errors, report.counts.num_words)
    assert found.seed == 1
    assert found.params == json.loads((folder / "stamp.json").read_text())["params"]
    assert found.train_seconds > 0


def test_a_missing_score_is_named_with_the_command_that_makes_it(folders):
    folder = folders[1]
    with pytest.raises(AsrkdError) as error:
        compare(folders, "score-dev", None)
    first = folders[0]
    assert str(error.value) == (
        f"{first}/score-dev/score.json: no such file; make it with: "
        f"asrkd score {first} --cuts ... --out {first}/score-dev"
    )
    (folder / "score-test/score.json").unlink()
    with pytest.raises(AsrkdError, match="student/score-test/score.json: no such file"):
        compare(folders, "score-test", None)


def test_one_system_and_seed_twice_is_refused_and_writes_nothing(folders, tmp_path):
    again = make_model(tmp_path / "4/student", 2, 9)
    with pytest.raises(AsrkdError, match=r"4/student: system 'student' with seed 2 comes twice"):
        compare([*folders, again], "score-test", tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("score-test/score.json", "{}"),
        ("score-test/score.json", "[]"),
        ("score-test/score.json", '{"wer"'),
        ("config.json", "{}"),
        ("config.json", '{"experiment": null}'),
    ],
)
def test_a_foreign_or_torn_file_is_a_line(folders, name, text):
    (folders[0] / name).write_text(text)
    with pytest.raises(
        AsrkdError, match="teacher/(score-test/score|config).json: (not a score|torn)"
    ) as error:
        compare(folders, "score-test", None)
    assert "\n" not in str(error.value)
