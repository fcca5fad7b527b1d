"""The log of a run: whole records, cut back to the checkpoint on resuming, and TensorBoard's twin."""

import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asrkd.training.metrics import MetricLog, read_metrics


def write(out, resume_step, *steps):
    with MetricLog(out, resume_step) as log:
        for step in steps:
            log.write("train", step, {"loss": step / 2, "note": "x"})


def test_records_come_back_in_order(tmp_path):
    write(tmp_path, 0, 1, 2)
    expected = [{"kind": "train", "step": s, "loss": s / 2, "note": "x"} for s in (1, 2)]
    assert read_metrics(tmp_path / "metrics.jsonl") == expected
    assert read_metrics(tmp_path / "nowhere.jsonl") == []


def test_on_resuming_what_lies_beyond_the_checkpoint_is_cut_off(tmp_path):
    write(tmp_path, 0, 1, 2, 3, 4)
    write(tmp_path, 2, 3)
    assert [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3]


def test_a_run_without_a_checkpoint_begins_its_log_anew(tmp_path):
    write(tmp_path, None, 0)
    write(tmp_path, None, 0)
    assert [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [0]


def test_the_end_of_a_run_that_was_not_finished_is_cut_off(tmp_path):
    with MetricLog(tmp_path, None) as log:
        log.write("train", 3, {"loss": 1.0})
        log.write("end", 3, {"train_seconds": 5.0})
    with MetricLog(tmp_path, 3) as log:
        log.write("end", 3, {"train_seconds": 6.0})
    found = [(r["kind"], r.get("train_seconds")) for r in read_metrics(tmp_path / "metrics.jsonl")]
    assert found == [("train", None), ("end", 6.0)]


def test_a_torn_last_line_is_left_out_and_then_removed(tmp_path):
    write(tmp_path, 0, 1, 2)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    assert [record["step"] for record in read_metrics(path)] == [1]
    write(tmp_path, 2, 3)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 3]


def test_tensorboard_has_the_same_numbers_under_kind_and_name(tmp_path):
    write(tmp_path, 0, 1, 2)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert board.Tags()["scalars"] == ["train/loss"]
    assert [(event.step, event.value) for event in board.Scalars("train/loss")] == [(1, 0.5), (2, 1.0)]
