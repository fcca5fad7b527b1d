"""The report's account of unequal, unsettled and stalled trainings."""

import re

from asrkd.commands.report import ReportRequest, report
from tests.evaluation.compare.runs import falling, make_run, settled
from tests.evaluation.report.test_report import Page


def text_of(folders, tmp_path):
    report(ReportRequest(folders, tmp_path / "report.html"))
    return re.sub(r"\s+", " ", Page((tmp_path / "report.html").read_text(encoding="utf-8")).text)


def test_unequal_trainings_are_named_before_the_verdict_and_in_a_table(tmp_path):
    stuck = {"wer": settled(1.0, 0.83), "dev": settled(2.3, 1.4), "train": settled(2.5, 1.35)}
    folders = [
        make_run(tmp_path / "teacher", 20, of="teacher", changes={"optim.lr": 0.003}, params=900_289),
        make_run(tmp_path / "baseline", 120, **stuck),
        make_run(tmp_path / "student", 60, changes={"optim.lr": 0.012}, wer=falling(0.6, 0.3)),
    ]
    text = text_of(folders, tmp_path)
    order = [
        "On CTC's plateau: baseline",
        "Unequal settings: optim.lr 0.006 (baseline), 0.012 (student).",
        "Not settled: student (dev WER fell by 9.9 points in the last third).",
        "Significantly better than baseline, with these reservations: student",
        "Settings and training",
        "optim.lr0.0030.0060.012",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "there are reservations" in text
    assert "\u22129.9 points, p < 0.001; still falling" in text.replace("\u00a0", " ")
    assert "0.0 % of its peak, at its end" in text.replace("\u00a0", " ")
    assert "settings are equal in all systems but the teacher" in text


def test_trainings_that_are_alike_get_tables_without_a_word_of_warning(tmp_path):
    folders = [make_run(tmp_path / name, errors) for name, errors in (("baseline", 120), ("student", 60))]
    text = text_of(folders, tmp_path)
    assert "reservations" not in text and "not counted" not in text
    assert "Significantly better than baseline: student" in text
    assert "Settings and training" in text and "still falling" not in text.lower().replace(
        "still falling: p", ""
    )


def test_a_loss_near_zero_has_no_share_to_fall_by(tmp_path):
    shapes = {"baseline": lambda share: 0.0, "student": lambda share: max(0.0, 3 * share - 2.8)}
    folders = [make_run(tmp_path / name, 60, dev=shape) for name, shape in shapes.items()]
    text = text_of(folders, tmp_path)
    assert "+0 nats per token" in text
    rise = re.search(r"\+(0[.][0-9]+) nats per token", text)
    assert rise and 0.05 < float(rise[1]) < 0.3


def test_transcripts_alone_have_no_section(scored, tmp_path):
    text = text_of(scored.models, tmp_path)
    assert "Settings and training" not in text
    assert "Not known how trained: baseline, student" in text
