"""The selftest proves what it says, and says so when something does not hold."""

import random

import pytest

from asrkd.cli import main
from asrkd.commands import distill, prepare, score, selftest, train  # noqa: F401 (loaded once, before the forks)
from asrkd.commands.proving.child import Command
from asrkd.commands.proving.pipeline import digests, steps
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest


@pytest.mark.slow
def test_kills_and_a_failing_disk_cost_no_command_anything(tmp_path):
    tally = selftest.selftest(tmp_path / "proof", main.run, 8, 3, StopRequest())
    assert tally.broken == []
    assert (tally.kills, tally.failures) == (8, len(steps()))
    assert tally.midway >= 6
    assert tally.compared > 60
    log = (tmp_path / "proof/log.txt").read_text().splitlines()
    assert sum("exit -9" in line for line in log) == 8
    assert sum("exit 1," in line for line in log) >= 5
    assert sum("kill@answer" in line for line in log) >= 2  # within shards
    again = selftest.selftest(
        tmp_path / "proof", main.run, 0, 3, StopRequest()
    )  # a selftest's folder is its own to redo
    assert (again.kills, again.broken) == (0, [])


def test_a_file_that_differs_is_found_and_told(tmp_path):
    tally = selftest.SelftestResult()
    proof = selftest._Proof(tmp_path, main.run, random.Random(1), tally, lambda line: None)
    step = steps()[0]
    for run, words in (("peace", "one"), ("struck", "other")):
        (tmp_path / run / step.out).mkdir(parents=True)
        (tmp_path / run / step.out / "stamp.json").write_text(words)
    (tmp_path / "struck" / step.out / "extra").write_text("")
    proof._compare(step, tmp_path / "struck" / step.out)
    found = ["prepare: extra is not what it is in peace", "prepare: stamp.json is not what it is in peace"]
    assert tally.broken == found
    assert f"2 did not hold: {found[0]}" in tally.text()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(AsrkdError, match="another program wrote it"):
        selftest.selftest(tmp_path, main.run, 1, 1, StopRequest())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_leftovers_and_logs_are_not_compared(tmp_path):
    for name in (
        "a.json",
        "b.json.0a1b.partial",
        "metrics.jsonl",
        "checkpoints/x",
        "tensorboard/y",
        ".tmpXYZ",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert list(digests(tmp_path)) == ["a.json"]


def test_a_command_ends_as_it_does_for_a_person(tmp_path):
    wrong = Command(
        main.run, ("score", "nowhere", "--cuts", "x", "--out", "y"), tmp_path, tmp_path / "log"
    ).run()
    assert (wrong.status, wrong.stderr.count("\n")) == (1, 1)
    assert wrong.stderr.startswith("asrkd: nowhere: no such model folder")
    assert Command(main.run, ("--version",), tmp_path, tmp_path / "log").run().status == 0
    assert Command(main.run, ("scroe",), tmp_path, tmp_path / "log").run().status == 2
