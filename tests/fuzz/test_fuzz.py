"""A share of the fuzz, the same each time; and that it finds, keeps and replays what is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from asrkd.core import files
from asrkd.data.corpora import corpus, tsv
from asrkd.data.cuts import manifests
from tests.fuzz import runner
from tests.fuzz.case import CASE, OUT, make_case
from tests.fuzz.invocation import Outcome, invoke
from tests.fuzz.runner import BY_NAME, TARGETS, replay, run_case, run_input, run_many
from tests.fuzz.verdict import judge

SHARE = 15 * len(TARGETS)  # inputs


@pytest.fixture(scope="module", autouse=True)
def workspace() -> Iterator[Path]:
    """The working directory of all tests here."""
    with runner.workspace() as folder:
        yield folder


def numbers(name: str) -> list[int]:
    """Those of the first inputs that are of a kind."""
    first = [target.name for target in TARGETS].index(name)
    return list(range(first, 40 * len(TARGETS), len(TARGETS)))


def test_a_share_of_every_kind_is_taken_or_refused_in_a_line(tmp_path):
    tally = run_many(1, iter(range(SHARE)), tmp_path)
    assert not tally.failures, tally.text()
    assert tally.counts.keys() == BY_NAME.keys()
    for name, count in tally.counts.items():
        assert count["skipped"] or (count["accepted"] and count["refused"]), name


@pytest.mark.parametrize("name", BY_NAME)
def test_an_input_without_mutations_is_taken(name):
    target = BY_NAME[name]
    if target.skipped() is not None:
        pytest.skip(str(target.skipped()))
    for number in (numbers(name)[0], numbers(name)[7]):
        verdict = run_case(make_case(target, 5, number, only=()))
        assert (verdict.ending, verdict.failure) == ("accepted", None)


def test_an_input_is_the_same_whatever_came_before_it():
    def contents() -> dict[str, bytes]:
        made = make_case(BY_NAME["kaldi"], 3, 19)
        found = {str(path): path.read_bytes() for path in CASE.rglob("*") if path.is_file()}
        return found | {"": json.dumps([made.commands, made.mutations]).encode()}

    first = contents()
    make_case(BY_NAME["tsv"], 4, 18)
    assert contents() == first


def failing(name: str, keep: Path) -> Path:
    """The folder of the first input of a kind that fails."""
    for number in numbers(name):
        if run_input(1, number, keep).failure is not None:
            return keep / f"{name}-1-{number}"
    raise AssertionError("no input of forty failed")


def test_a_reader_that_raises_is_found_and_its_input_kept(monkeypatch, tmp_path):
    with monkeypatch.context() as planted:

        def lose_a_key(path, number, line, columns, _read=tsv._utterance):
            if len(line.split("\t")) != len(columns):
                raise KeyError("text")
            return _read(path, number, line, columns)

        planted.setattr(tsv, "_utterance", lose_a_key)
        folder = failing("tsv", tmp_path)
        described = json.loads((folder / "case.json").read_text())
        assert described["failure"]["kind"] == "traceback"
        assert "KeyError in" in described["failure"]["signature"]
        assert described["mutations"]
        found = replay(folder)
        assert found.failure is not None
        assert found.failure.signature == described["failure"]["signature"]
    assert replay(folder).ending in ("accepted", "refused")  # mended


def test_a_duration_that_is_not_a_number_is_found(monkeypatch, tmp_path):
    def lose_the_duration(path, cuts, _write=manifests.write_cuts):
        count = _write(path, cuts)
        rows = [row for _, row in files.read_jsonl(path)]
        rows[-1]["duration"] = float("nan")
        files.write_jsonl(path, rows)
        return count

    monkeypatch.setattr(manifests, "write_cuts", lose_the_duration)
    verdict = run_case(make_case(BY_NAME["tsv"], 1, 0, only=()))
    assert verdict.failure is not None
    assert verdict.failure.kind == "wrong result"
    assert "has duration nan" in verdict.failure.detail


def test_a_command_that_hangs_is_found(monkeypatch):
    def wait(*_arguments):
        while True:
            pass

    monkeypatch.setattr(corpus, "read_recording", wait)
    make_case(BY_NAME["tsv"], 1, 0, only=())
    outcome = invoke(["prepare", "tsv", str(CASE / "in"), "--out", str(OUT)], limit_s=0.5)
    failure = judge(outcome)
    assert failure is not None
    assert failure.kind == "hang"


@pytest.mark.parametrize(
    ("status", "stdout", "stderr", "kind"),
    [
        (0, "%WER 12.00", "", None),
        (0, "loss nan", "", "not finite"),
        (1, "", "asrkd: case/in/a.tsv:3: no column 'audio'\n", None),
        (1, "", "features: 2/4 cuts, 180 x real time\nasrkd: case/in/a.tsv:3: wrong\n", None),
        (1, "", "asrkd: something is wrong\n", "place"),
        (1, "", "", "lines"),
        (1, "", "asrkd: case/in/a.tsv: wrong\nin two lines\n", "lines"),
        (1, "", "asrkd: case/in/a\x1b[31m.tsv: wrong\n", "lines"),
        (2, "", "Usage: asrkd prepare\n", None),
        (4, "", "asrkd: case/in: wrong\n", "status"),
        (75, "", "asrkd: case/out: stopped by time limit: 1 of 2\n", None),
        (1, "", "Traceback (most recent call last)\nasrkd: case/in: wrong\n", "stray output"),
    ],
)
def test_what_counts_as_a_failure(status, stdout, stderr, kind):
    failure = judge(Outcome(("prepare",), status, stdout, stderr))
    assert (failure and failure.kind) == kind


def test_an_output_that_blocks_the_right_input_is_found(monkeypatch, tmp_path):
    def claim_first(source, _list=tsv.list_utterances, **options):
        files.write_json(OUT / "prepare.json", {"corpus": "another"})
        return _list(source, **options)

    monkeypatch.setattr(tsv, "list_utterances", claim_first)
    described = json.loads((failing("tsv", tmp_path) / "case.json").read_text())
    assert described["failure"]["kind"] == "left behind"
