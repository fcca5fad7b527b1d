"""Progress in a log: lines with done and total, not too many of them; on a terminal a bar."""

import io
import sys
import threading
import time

import pytest

from asrkd.core import progress
from asrkd.core.progress import meter


class Clock:
    """Stands in for time.monotonic; goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_log_has_a_line_every_few_seconds_and_one_at_the_end(clock, capsys):
    with meter("distill x", 100, "cuts") as shown:
        for _ in range(100):
            clock.now += 0.2  # seconds: 20 in all
            shown.advance()
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert 4 <= len(lines) <= 7
    assert lines[-1] == "distill x: 100/100 cuts"
    assert all(line.startswith("distill x: ") and "/100 cuts" in line for line in lines)


def test_a_line_has_pace_note_and_time_left(clock, capsys):
    with meter("train", 40, "steps") as shown:
        clock.now += 10
        shown.advance(10, audio_s=3600, note="loss 1.5")
    # 3600 s of audio in 10 s; 30 steps are left at one a second
    assert "train: 10/40 steps, 360 x real time, loss 1.5, ETA 30 s" in capsys.readouterr().err


def test_what_was_done_before_does_not_count_as_pace(clock):
    with meter("train", 100, "steps", done=90) as shown:
        assert shown.remaining_s() == float("inf")
        clock.now += 5
        shown.advance(5)
        assert shown.remaining_s() == pytest.approx(5)


def test_the_last_state_is_shown_when_the_work_is_cut_short(clock, capsys):
    with pytest.raises(KeyError), meter("score", 9, "cuts") as shown:
        shown.advance(2)
        shown.advance(1)
        raise KeyError
    assert capsys.readouterr().err.splitlines()[-1].startswith("score: 3/9 cuts")


def test_work_that_is_short_is_not_shown_if_it_may_be_long(clock, capsys):
    with meter("align", 9, "utterances", after_s=3.0) as shown:
        clock.now += 2.9
        shown.advance(9)
    assert capsys.readouterr().err == ""
    with meter("align", 9, "utterances", after_s=3.0) as shown:
        clock.now += 3.5
        shown.advance(7)
    assert capsys.readouterr().err.startswith("align: 7/9 utterances, ETA 1 s")


def test_work_without_finished_units_is_reported_at_intervals(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.05)
    monkeypatch.setattr(progress, "HEARTBEAT_EVERY_S", 0.3)
    monkeypatch.setattr(progress, "POLL_EVERY_S", 0.01)
    before = threading.active_count()
    with meter("distill x", 9, "cuts", heartbeat=True):
        time.sleep(0.2)
        assert capsys.readouterr().err == "distill x: 0/9 cuts, at work for 0 s\n"
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "distill x: 0/9 cuts"  # at the end
    assert len(lines) <= 2  # once more within 0.5 s
    assert threading.active_count() == before


def test_resumed_units_are_done_and_do_not_count_for_the_pace(clock):
    with meter("distill x", 100, "cuts", heartbeat=True) as shown:
        shown.advance(40, resumed=True)
        clock.now += 10
        shown.advance(10)
        assert shown.done == 50
        assert shown.remaining_s() == pytest.approx(50)


def test_only_slow_loading_is_announced(capsys):
    with progress.announced("opening x", after_s=0.05):
        time.sleep(0.15)
    with progress.announced("opening y", after_s=0.5):
        pass
    time.sleep(0.02)
    assert capsys.readouterr().err == "opening x\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with meter("score", 4, "cuts") as shown:
        shown.advance(4, audio_s=5)
    assert "4/4" in sys.stderr.getvalue()
    assert "\r" in sys.stderr.getvalue() or "\x1b" in sys.stderr.getvalue()


@pytest.mark.parametrize(("kind", "columns"), [("dumb", "80"), ("xterm", "20"), ("xterm", "60")])
def test_a_narrow_terminal_gets_lines_with_counts(monkeypatch, kind, columns):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("COLUMNS", columns)
    with meter("distill nbest", 281241, "cuts") as shown:
        shown.advance(4)
    assert sys.stderr.getvalue().splitlines()[0].startswith("distill nbest: 4/281241 cuts")


def test_a_long_or_odd_label_leaves_the_counts_of_a_bar_in_view(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with meter("distill [red]wavlm-large-layer18-codebook-cb8-train-clean-960", 281241, "cuts") as shown:
        shown.advance(4, audio_s=5)
    assert "4/281241" in sys.stderr.getvalue()
    assert "distill [red]" in sys.stderr.getvalue()


def test_a_label_with_a_line_end_stays_in_its_line(capsys):
    with meter("distill a\n\x1b[2Jb", 4, "cuts") as shown:
        shown.advance(4)
    assert capsys.readouterr().err == "distill a\\n\\x1b[2Jb: 4/4 cuts\n"


def test_a_slow_pace_is_a_number(clock, capsys):
    with meter("distill x", 2, "cuts") as shown:
        clock.now += 10
        shown.advance(1, audio_s=4.0)
    assert "1/2 cuts, 0.4 x real time" in capsys.readouterr().err


def test_a_terminal_gets_no_bar_of_short_work(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with meter("align", 4, "utterances", after_s=3.0) as shown:
        shown.advance(4)
    assert sys.stderr.getvalue() == ""
    with meter("align", 4, "utterances", after_s=3.0) as shown:
        clock.now += 4
        shown.advance(4)
    assert "4/4" in sys.stderr.getvalue()
