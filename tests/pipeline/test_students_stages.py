"""The recipes with several students, TutorNet and transducers: rows, order of commands, refusals."""

import json
import os
from pathlib import Path

import pytest

from asrkd.core.config import load
from asrkd.training.config import TrainConfig
from tests.running_stages import ROOT, Recorded, check_order, record, run_recorded


def outputs(done: Recorded, folder: Path, verb: str) -> dict[str, str]:
    """The folders that a command writes, below ``folder``, with the last word of each."""
    words = [words for words in done.commands if words[0] == verb]
    return {os.path.relpath(each[each.index("--out") + 1], folder): each[-1] for each in words}


def test_tutornet_has_its_rows_with_the_targets_and_teachers_that_they_read(tmp_path):
    done, folder = record(tmp_path, "tutornet/run.sh", "digits", AT_ONCE="1"), tmp_path / "demo/tutornet"
    trained = outputs(done, folder, "train")
    teachers = [name for name in trained if name.endswith("/teacher")]
    assert teachers == ["blstm/teacher", "conv/teacher", "transformer/teacher"]
    assert len(trained) == 3 + 7 + 15 + 3 + 2 * (3 + 3)
    students = {"blstm/seed-3/tutornet", "conv/seed-1/tutornet+mvq", "las/seed-1/tutornet@transformer"}
    assert students <= trained.keys()
    assert outputs(done, folder, "distill").keys() == {
        "conv/hidden", "conv/posterior", "conv/nbest", "conv/quantizer", "conv/codebook",
        "blstm/hidden", "blstm/posterior", "transformer/hidden", "transformer/posterior",
    }  # fmt: skip
    check_order(done.commands)
    two = trained["conv/seed-1/two-teachers"]
    assert f"{folder}/conv/hidden" in two and f"{folder}/blstm/posterior" in two
    assert "frame_weighting: false, " in trained["conv/seed-1/rkd-skd"]
    assert trained["conv/seed-1/rkd-skd"] == trained["conv/seed-1/tutornet"]  # as SIZE=tiny


def test_a_student_that_tutornet_lacks_is_refused(tmp_path):
    done = run_recorded(tmp_path, "tutornet/run.sh", "digits", TUTORNET_STUDENTS="conv gru")
    assert (done.returncode, done.stderr) == (2, "gru: expected students of blstm, conv and las\n")
    assert not (tmp_path / "record.txt").read_text()


def test_a_row_that_no_student_of_tutornet_has_is_refused(tmp_path):
    done = run_recorded(tmp_path, "tutornet/run.sh", "digits", TUTORNET_ROWS="baseline skd@las")
    assert done.returncode == 2 and "skd@las: expected some of all baseline guided " in done.stderr
    assert not (tmp_path / "record.txt").read_text()


def test_tutornet_weighs_frames_where_teachers_have_learned(tmp_path):
    phases = {
        row: record(tmp_path, "tutornet/30_student.sh", "digits", "conv", row, SIZE="demo").commands[-1][-1]
        for row in ("rkd-skd", "tutornet")
    }
    assert "{representation: {targets: " in phases["tutornet"]
    assert "frame_weighting" not in phases["tutornet"]
    assert phases["rkd-skd"].replace("frame_weighting: false, ", "") == phases["tutornet"]


def test_every_row_of_tutornet_is_a_config_with_as_many_updates(tmp_path):
    """The phases that the stage puts together are those of the schema, of six updates in all (SIZE=tiny)."""
    done = record(tmp_path, "tutornet/run.sh", "digits", AT_ONCE="1", TUTORNET_MORE_SEEDS="")
    rows = [words for words in done.commands if words[0] == "train" and words[-1].startswith("phases=")]
    assert len(rows) == 7 + 15 + 3
    for words in rows:
        experiment = load(TrainConfig, ROOT / words[1], [words[-1]])
        assert sum(phase.steps for phase in experiment.phases) == 6
        assert len(experiment.phases) == 1 or experiment.phases[0].optim.warmup_steps == 0


def transducers(tmp_path: Path, **variables: str) -> tuple[Recorded, Path]:
    """Record the transducer recipe, in whose streaming students MVQ-KD does best on dev with a delay of 2."""
    folder = tmp_path / "demo/transducer"
    for delay, wer in (("0", 0.4), ("1", 0.3), ("2", 0.2), ("4", 0.25)):
        (folder / f"streaming/seed-1/mvq-d{delay}").mkdir(parents=True)
        (folder / f"streaming/seed-1/mvq-d{delay}/stamp.json").write_text(json.dumps({"wer": wer}, indent=1))
    return record(tmp_path, "transducer/run.sh", "digits", AT_ONCE="1", **variables), folder


def test_transducers_have_their_rows_deciding_ones_first(tmp_path):
    done, folder = transducers(tmp_path, TRANSDUCER_MORE_SEEDS="2")
    check_order(done.commands)
    order = [name for name in outputs(done, folder, "train") if name != "teacher"]
    streaming = [f"streaming/seed-1/{row}" for row in ("baseline", "mvq-d0", "mvq-d1", "mvq-d2", "mvq-d4")]
    others = ("seq-kd", "err-kd", "mvq{}+seq-kd")
    assert order == [
        "offline/seed-1/baseline",
        "offline/seed-1/mvq",
        *streaming,
        *(f"offline/seed-1/{row.format('')}" for row in others),
        *(f"streaming/seed-1/{row.format('-d2')}" for row in others),
        *(f"offline/seed-2/{row}" for row in ("baseline", "mvq")),
        *(f"streaming/seed-2/{row}" for row in ("baseline", "mvq-d2")),
    ]
    assert outputs(done, folder, "distill").keys() == {"quantizer", "codebook", "nbest"}


def test_every_row_of_transducers_is_a_config(tmp_path):
    done, _ = transducers(tmp_path, TRANSDUCER_MORE_SEEDS="")
    rows = [words for words in done.commands if words[0] == "train" and "objectives" in words[-1]]
    assert len(rows) == 5 + 8
    delays = []
    for words in rows:
        (phase,) = load(TrainConfig, ROOT / words[1], [words[-1]]).phases
        settings = {entry.name: entry.settings for entry in phase.objectives}
        assert settings["transducer"].warmup_updates == 2
        if "codebook" in settings:
            delays.append(settings["codebook"].delay)
    assert sorted(delays) == [0, 0, 0, 1, 2, 2, 4]


def test_streaming_transducers_are_scored_as_streams_with_several_chunks(tmp_path):
    done, folder = transducers(tmp_path, TRANSDUCER_STUDENTS="streaming", TRANSDUCER_ROWS="baseline")
    scores = {
        Path(words[words.index("--out") + 1]).relative_to(folder): words
        for words in done.commands
        if words[0] == "score"
    }
    chunks = {
        str(path): (words[words.index("--chunk-frames") + 1], words[words.index("--left-chunks") + 1])
        for path, words in scores.items()
        if "--chunk-frames" in words
    }
    row = "streaming/seed-1/baseline/score-test"
    assert chunks == {row: ("8", "4"), f"{row}-chunk-4": ("4", "8"), f"{row}-chunk-16": ("16", "2")}


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("TRANSDUCER_STUDENTS", "offline conv", "conv: expected students of offline and streaming"),
        (
            "TRANSDUCER_ROWS",
            "mvq skd",
            "TRANSDUCER_ROWS: skd: expected some of baseline mvq seq-kd err-kd mvq+seq-kd",
        ),
    ],
)
def test_what_the_transducer_recipe_lacks_is_refused(tmp_path, variable, value, complaint):
    done = run_recorded(tmp_path, "transducer/run.sh", "digits", **{variable: value})
    assert (done.returncode, done.stderr) == (2, f"{complaint}\n")
    assert not (tmp_path / "record.txt").read_text()
