"""A task as the job runs it: its words and its end are kept, and signals reach the command."""

import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest

from asrkd.cli.launching.task import Task, TaskExit

# Says when it listens; ends with the number of the signal that it hears, as its exit status.
LISTENER = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: sys.exit(number))
print("listening", file=sys.stderr, flush=True)
time.sleep(60)
"""

# What a scheduler's job does: run the task, print how it ended.
JOB = """
import pickle, sys
from asrkd.cli.launching.task import Task
ended = Task("1/1", (sys.executable, "-c", sys.argv[1]))()
print(ended.status)
"""


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_what_the_command_said_and_how_it_ended_is_kept(capfd):
    code = "import sys; print('out'); print('one\\ntwo\\n', file=sys.stderr); sys.exit(3)"
    assert Task("1/2", python(code))() == TaskExit(3, "two", "out\n")
    captured = capfd.readouterr()
    assert captured.out == "out\n"
    assert captured.err == "one\ntwo\n\n"


def test_a_megabyte_on_both_streams_blocks_nothing():
    code = "import sys\nfor s in (sys.stdout, sys.stderr): s.write('x' * 999_999 + chr(10))"
    ended = Task("1/1", python(code))()
    assert (ended.status, len(ended.output), len(ended.last_line)) == (0, 1_000_000, 999_999)


def test_a_killed_command_ends_with_its_signal():
    assert Task("1/1", python("import os; os.kill(os.getpid(), 9)"))().status == -9


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (signal.SIGUSR1, signal.SIGUSR1),
        (signal.SIGUSR2, signal.SIGUSR1),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM),
    ],
)
def test_a_signal_to_the_job_reaches_the_command(sent, heard):
    job = subprocess.Popen(
        [*python(JOB), LISTENER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = threading.Timer(30, job.kill)
    deadline.start()
    assert job.stderr is not None
    assert job.stderr.readline() == "listening\n"
    time.sleep(0.1)
    job.send_signal(sent)
    said, _ = job.communicate()
    deadline.cancel()
    assert said == f"{heard.value}\n"


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGUSR1)
    Task("1/1", python(""))()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_again_it_is_told_what_it_has_to_know_once():
    task = Task("1/1", ("train",), ("--resume",))
    assert task.again().command == ("train", "--resume")
    assert task.again().again() == task.again()
    assert pickle.loads(pickle.dumps(task)) == task
