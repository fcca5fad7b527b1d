"""Stopping in time: signals and limits ask, the work answers."""

import os
import signal
import time

import pytest

from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest, parse_time_limit, stop_requests


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("90", 90), ("90s", 90), ("1.5m", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400),
        ("01:30:00", 5400), ("1:30", 90), (" 2h ", 7200), ("0", 0),
    ],
)  # fmt: skip
def test_a_time_limit_in_any_of_its_forms(text, seconds):
    assert parse_time_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "2 h 30", "1h30", "1:2:3:4", "nan", "5w"])
def test_what_is_no_time_limit_is_refused(text):
    with pytest.raises(AsrkdError, match="--time-limit .*expected seconds, 30m, 2h, 1d or hh:mm:ss"):
        parse_time_limit(text)


def test_nobody_asked():
    request = StopRequest()
    assert request.reason() is None
    request.check("all")


def test_the_limit_is_counted_from_the_start():
    assert StopRequest(1000).reason() is None
    request = StopRequest(0.01)
    time.sleep(0.02)
    assert request.reason() == "time limit"
    with pytest.raises(StoppedInTime, match="stopped by time limit: 3 shards are kept") as error:
        request.check("3 shards are kept")
    assert error.value.exit_status == 75


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_and_the_old_handler_restored(number):
    seen = []
    before = signal.signal(number, lambda *_: seen.append("old"))
    try:
        with stop_requests() as request:
            os.kill(os.getpid(), number)
            assert request.reason() == number.name
            assert request.reason() == number.name  # it does not wear off
        assert seen == []
        os.kill(os.getpid(), number)
        assert seen == ["old"]
    finally:
        signal.signal(number, before)


def test_the_old_handlers_come_back_after_an_error_too():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyError), stop_requests():
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("ignored", [False, True])
def test_a_hangup_is_a_request_unless_it_is_ignored_as_under_nohup(ignored):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with stop_requests(hangup=True) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.reason() == (None if ignored else "SIGHUP")
        assert signal.getsignal(signal.SIGHUP) is (signal.SIG_IGN if ignored else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)
