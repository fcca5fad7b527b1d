"""Shards that grow in parts: kills and stops within one cost seconds, and never a byte of the result."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from lhotse import MonoCut, Recording

from asrkd.cli import main
from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.proving.child import Command
from asrkd.core import faults, files, shared_work
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.shared_work import Workers, work
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.cuts.manifests import read_cuts
from asrkd.decoding import SearchOptions, recognition
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.targets.store import shard_parts
from asrkd.targets.store.shard_parts import make_shard, read_parts, write_part
from asrkd.targets.store.shards import Shard
from asrkd.targets.writers import arrays
from asrkd.teachers.loading import open_teacher
from tests import forked
from tests.slow_teacher import KINDS, Running, make_inputs, outputs, words
from tests.stop_after import StopAfter
from tests.watching import Watch, unwatched

NUM_CUTS = 40  # in one shard; three batches of a search, the last one of 8


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    make_inputs(folder, NUM_CUTS)
    return folder


@pytest.fixture(scope="module")
def alone(inputs) -> Callable[[str], dict[str, str]]:
    """Digests of a kind's output by a run left alone."""

    @cache
    def digests_of(kind: str) -> dict[str, str]:
        assert run(inputs, kind, f"alone-{kind}").status == 0
        return outputs(inputs, f"alone-{kind}")

    return digests_of


@pytest.fixture(autouse=True)
def parts_at_every_seam(monkeypatch) -> None:
    monkeypatch.setenv(shared_work.PART_VARIABLE, "0")
    monkeypatch.setattr(faults, "SLOW_S", 0.0)  # slow@answer then counts the answers, and that is all


def command(inputs: Path, kind: str, out: str, **sizes: int) -> Command:
    sizes = {"jobs": 1, "cuts_per_shard": NUM_CUTS} | sizes
    return Command(main.run, tuple(words(kind, out, **sizes)), inputs, inputs / f"{out}.log")


def run(inputs: Path, kind: str, out: str, fault: str | None = None):
    return command(inputs, kind, out).run(fault)


def answers_of_a_last_run(inputs: Path, kind: str, out: str) -> int:
    """Let a run end well; how many answers the teacher gave in it."""
    ended = run(inputs, kind, out, "slow@answer")
    assert ended.status == 0, ended.stderr
    log = inputs / f"{out}.strikes"
    return len(log.read_text().splitlines()) if log.exists() else 0


def parts(inputs: Path, out: str) -> list[Path]:
    return sorted((inputs / out).rglob("*.part"))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"codebook-anew"}))
def test_a_kill_within_a_shard_costs_work_after_its_last_part(inputs, alone, kind):
    out = f"killed-{kind}"
    assert run(inputs, kind, out, "kill@answer:20").status == -signal.SIGKILL
    kept = 16 if kind in ("nbest", "attention", "score") else 19  # a search has ended with its batch
    assert answers_of_a_last_run(inputs, kind, out) == NUM_CUTS - kept
    assert outputs(inputs, out) == alone(kind)


def test_a_kill_before_the_removal_of_parts_leaves_none(inputs, alone):
    """Contract, sources and 39 parts have their names by then, and so have the payload and its index."""
    assert run(inputs, "hidden", "published", "kill@named:43").status == -signal.SIGKILL
    left = parts(inputs, "published")
    assert len(left) == NUM_CUTS - 1
    assert answers_of_a_last_run(inputs, "hidden", "published") == 0
    assert outputs(inputs, "published") == alone("hidden")


def truncate(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1])


def flip(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1] + bytes([part.read_bytes()[-1] ^ 1]))


def carry(part: Path) -> None:
    """As from a store of another request, all else being right."""
    line, body = part.read_bytes().split(b"\n", 1)
    part.write_bytes(json.dumps(json.loads(line) | {"key": "0" * 64}).encode() + b"\n" + body)


def lie(part: Path) -> None:
    line, body = part.read_bytes().split(b"\n", 1)
    part.write_bytes(json.dumps(json.loads(line) | {"lengths": [1, 2]}).encode() + b"\n" + body)


def shift(part: Path) -> None:
    """The same bytes, divided so that an answer ends where it should not."""
    line, body = part.read_bytes().split(b"\n", 1)
    part.write_bytes(json.dumps(json.loads(line) | {"lengths": [-1, 3]}).encode() + b"\n" + body)


def nest(part: Path) -> None:
    part.write_bytes(b"[" * 100_000 + b"\n")


def empty(part: Path) -> None:
    part.write_bytes(b"")


@pytest.mark.parametrize("harm", [truncate, flip, carry, lie, shift, nest, empty, Path.unlink])
def test_bad_parts_are_removed_with_all_after_them(harm, tmp_path):
    shard = shard_of(tmp_path, 10)
    answers = [b"%d " % number for number in range(10)]
    for number in range(9):
        write_part(shard, number, answers[number : number + 1])
    harm(sorted((tmp_path / "parts").iterdir())[6])
    assert read_parts(shard) == answers[:6]
    assert len(list((tmp_path / "parts").iterdir())) == 6
    asking_ = Asking()
    make_shard(shard, unwatched(), asking_, asking_.write)
    assert (asking_.began, shard.path.read_bytes()) == ([6], b"".join(answers))


def test_parts_of_another_request_are_not_used(inputs, alone):
    """Hidden states of layer 2 hold as many numbers as those of layer 1."""
    other = words("hidden", "other", jobs=1, cuts_per_shard=NUM_CUTS)
    other[other.index("--layer") + 1] = "2"
    assert Command(main.run, tuple(other), inputs, inputs / "other.log").run("kill@answer:11").was_killed
    assert run(inputs, "hidden", "foreign", "kill@answer:1").was_killed
    shutil.copytree(inputs / "other/parts", inputs / "foreign/parts")
    assert answers_of_a_last_run(inputs, "hidden", "foreign") == NUM_CUTS
    assert outputs(inputs, "foreign") == alone("hidden")


@pytest.mark.parametrize(("kind", "kept"), [("hidden", 21), ("nbest", 16)])
def test_a_stop_within_a_shard_keeps_finished_cuts(inputs, alone, kind, kept, capsys):
    out = inputs / f"stopped-{kind}"
    question = DistillRequest(Path("teacher"), (Path("cuts.jsonl.gz"),), out, cuts_per_shard=NUM_CUTS)
    question = replace(question, teacher=inputs / "teacher", cuts=(inputs / "cuts.jsonl.gz",))
    with pytest.raises(StoppedInTime, match=f"{kept} of 40 cuts are done"):
        if kind == "hidden":
            distill.hidden(question, 1, "float16", StopAfter(20))
        else:
            distill.nbest(question, "prefix-beam", SearchOptions(beam=4, num_best=4), StopAfter(20))
    assert f"{kept}/40 cuts" in capsys.readouterr().err
    assert answers_of_a_last_run(inputs, kind, out.name) == NUM_CUTS - kept
    assert outputs(inputs, out.name) == alone(kind)


def test_check_reports_a_store_with_parts_as_unfinished(inputs):
    from asrkd.commands.check import check

    assert run(inputs, "hidden", "unfinished", "kill@answer:11").was_killed
    assert ["unfinished" in problem for problem in check(inputs / "unfinished").problems] == [True]


def make_cuts(count: int) -> list[MonoCut]:
    recording = Recording("r", [], 8000, 16000, 2.0)
    return [MonoCut(f"cut-{number}", 0, 2, 0, recording=recording) for number in range(count)]


def shard_of(folder: Path, count: int) -> Shard:
    return Shard(folder / "shard-00000-of-00001.txt", make_cuts(count), Path("model"), "cpu", "request")


class Asking:
    """Answers with the cut's number, and notes where it begins."""

    def __init__(self) -> None:
        self.began, self.given = list[int](), 0

    def __call__(self, shard: Shard, first: int) -> Iterator[tuple[float, Sequence[bytes]]]:
        self.began.append(first)
        for number in range(first, shard.size):
            self.given += 1
            yield 2.0, [b"%d " % number]

    def write(self, shard: Shard, answers: Sequence[bytes]) -> None:
        shard.path.write_bytes(b"".join(answers))


@pytest.mark.parametrize(("batch", "begins"), [(1, [0, 7, 14, 21]), (4, [0, 4, 8, 12, 16]), (16, [0])])
def test_parts_end_after_whole_batches_alone(tmp_path, batch, begins):
    """Each run is stopped at its seventh cut, so a batch of 16 would never end: the last run may end."""
    shard = replace(shard_of(tmp_path, 22), device="cuda")
    asking_, expected = Asking(), " ".join(map(str, range(22))).encode() + b" "
    for _ in begins[:-1]:
        watch = Watch(stop_after=7)
        monitor = TaskMonitor(lambda report, watch=watch: watch.advance("x", report), watch.must_stop)
        make_shard(shard, monitor, asking_, asking_.write, batch)
        assert not shard.is_done()
        assert watch.count("x") == len(read_parts(shard))  # what is taken back is not counted
    make_shard(shard, unwatched(), asking_, asking_.write, batch)
    assert asking_.began == begins
    assert shard.path.read_bytes() == expected
    assert not (tmp_path / "parts").exists()


def test_on_a_gpu_parts_hold_whole_batches(inputs, tmp_path, monkeypatch):
    """A device that is called cuda, and is the CPU."""
    monkeypatch.setattr(arrays, "open_teacher", lambda spec, device: open_teacher(spec, "cpu"))
    shard = Shard(
        tmp_path / "shard-00000-of-00001.safetensors",
        read_cuts(inputs / "cuts.jsonl.gz"),
        inputs / "teacher",
        "cuda:0",
        "request",
        indexed=True,
    )
    watch = Watch(stop_after=20)
    monitor = TaskMonitor(lambda report: watch.advance("x", report), watch.must_stop)
    arrays.hidden_writer(Tap(1), "float32")(shard, monitor)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [f"{shard.path.name}.000000-000016.part"]
    arrays.hidden_writer(Tap(1), "float32")(shard, unwatched())
    assert shard.is_done()


def test_of_parts_that_overlap_those_are_taken_that_join(tmp_path):
    """As two processes leave them where locks do not work."""
    shard = shard_of(tmp_path, 10)
    for first, end in ((0, 3), (0, 5), (3, 8), (5, 6), (7, 9)):
        write_part(shard, first, [b"%d " % number for number in range(first, end)])
    assert read_parts(shard) == [b"%d " % number for number in range(6)]
    assert read_parts(shard) == [b"%d " % number for number in range(6)]


def test_a_part_survives_removal_of_its_folder_by_another(tmp_path, monkeypatch):
    shard, make_folder, removed = shard_of(tmp_path, 3), files.make_folder, list[Path]()

    def make_and_lose(folder: Path) -> None:
        make_folder(folder)
        if not removed:
            removed.append(folder)
            folder.rmdir()

    monkeypatch.setattr(files, "make_folder", make_and_lose)
    write_part(shard, 0, [b"0 "])
    assert removed
    assert read_parts(shard) == [b"0 "]


def test_a_shard_with_all_cuts_kept_needs_no_decoding(tmp_path):
    shard = shard_of(tmp_path, 3)
    write_part(shard, 0, [b"0 ", b"1 ", b"2 "])
    asking_ = Asking()
    make_shard(shard, unwatched(), asking_, asking_.write)
    assert (asking_.began, shard.path.read_bytes()) == ([], b"0 1 2 ")


def test_parts_are_written_in_time_and_not_at_every_cut(tmp_path, monkeypatch):
    monkeypatch.delenv(shared_work.PART_VARIABLE)
    now = [0.0]
    monkeypatch.setattr(shard_parts.time, "monotonic", lambda: now[0])
    shard, kept = shard_of(tmp_path, 100), list[int]()
    monkeypatch.setattr(shard_parts, "write_part", lambda shard, first, answers: kept.append(first))

    def ask(shard: Shard, first: int) -> Iterator[tuple[float, Sequence[bytes]]]:
        for _ in range(100):
            now[0] += 2.0
            yield 2.0, [b"x"]

    make_shard(shard, unwatched(), ask, lambda shard, answers: None)
    assert kept == list(range(0, 95, 5))  # each of 10 s; the last one is the shard itself


def test_a_time_between_parts_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv(shared_work.PART_VARIABLE, "soon")
    with pytest.raises(AsrkdError, match="ASRKD_PART_EVERY_S=soon: expected seconds; unset it"):
        shared_work.part_every_s()


@pytest.mark.parametrize(
    ("parameters", "durations", "count"),
    [
        (900_000, [30.0] * 16, 16),  # the demo's teacher
        (50_000_000, [12.0] * 16, 16),
        (100_000_000, [10.0] * 16, 10),
        (100_000_000, [60.0, 41.0, 1.0], 1),
        (2_000_000_000, [20.0] * 16, 1),
    ],
)
def test_a_batch_of_a_large_model_is_small_enough_for_a_minute(parameters, durations, count):
    """10^10 parameter-seconds: those that fit, counted by hand, and one in any case."""
    assert recognition.batch_size(parameters, durations) == count


def test_a_search_resumed_after_a_batch_has_the_same_batches(inputs, monkeypatch):
    model, cuts = load_model(inputs / "teacher"), read_cuts(inputs / "cuts.jsonl.gz")
    seconds = sum(cut.duration for cut in cuts)
    monkeypatch.setattr(recognition, "BATCH_WORK", recognition.num_parameters(model.recognizer) * seconds / 9)

    def batches(first: int) -> list[list[str]]:
        found = recognition.recognize_by_cut(model, cuts[first:], "greedy", SearchOptions())
        return [[cut.id for cut, _ in final] for _, final in found if final]

    whole = batches(0)
    assert len({len(batch) for batch in whole}) > 1
    for number in range(len(whole)):
        assert batches(sum(map(len, whole[:number]))) == whole[number:]


def grow(shard: Shard, monitor: TaskMonitor) -> None:
    def ask(shard: Shard, first: int) -> Iterator[tuple[float, Sequence[bytes]]]:
        for _ in shard.cuts[first:]:
            time.sleep(0.05)
            yield 2.0, [b"x"]

    make_shard(shard, monitor, ask, lambda shard, answers: shard.path.write_bytes(b"".join(answers)))


@pytest.mark.slow
def test_two_workers_report_each_cut_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("asrkd.core.progress.LINE_EVERY_S", 0.0)
    shards = [replace(shard_of(tmp_path, 30), path=tmp_path / f"shard-{n}-of-2.txt") for n in range(2)]
    write_part(shards[1], 0, [b"x"] * 12)
    assert work("grow", shards, grow, Workers(2), StopRequest()).written == 2
    done = [int(line.split("/60")[0].split()[-1]) for line in capsys.readouterr().err.splitlines()]
    assert done == sorted(done)
    assert done[-1] == 60
    assert len([count for count in done if count not in (0, 12, 30, 42)]) >= 3
    assert shards[1].path.read_bytes() == b"x" * 30


@pytest.mark.slow
def test_two_workers_stop_in_seconds_with_the_same_bytes(inputs):
    """Asked to stop, then with a worker killed, then to the end."""
    sizes = {"jobs": 2, "cuts_per_shard": 20}
    assert command(inputs, "codebook", "alone-halves", cuts_per_shard=20).run().status == 0
    expected = outputs(inputs, "alone-halves")
    command_ = words("codebook", "halves", **sizes)
    run_ = Running(inputs, command_, {faults.VARIABLE: "slow@answer"}, forked.Popen)
    run_.first_progress()
    while not any("0/40" not in line for _, line in run_.lines if "/40 cuts" in line):
        time.sleep(0.05)
    time.sleep(2)
    run_.process.terminate()
    assert run_.end(timeout_s=15) == 75
    done = int(run_.lines[-1][1].split(" of 40 cuts are done")[0].split()[-1])
    assert 2 <= done < 40
    ended = Running(inputs, command_, {faults.VARIABLE: "kill@answer:5"}, forked.Popen)
    assert ended.end() == 1
    assert "a worker process was killed" in ended.lines[-1][1]
    assert Running(inputs, command_, popen=forked.Popen).end() == 0
    assert outputs(inputs, "halves") == expected


def test_a_slow_point_is_slow_at_each_passing_from_the_nth_on(monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "SLOW_S", 0.05)
    monkeypatch.setattr(faults, "_passed", faults.Counter())
    monkeypatch.setenv("ASRKD_FAULT", "slow@answer:3")
    monkeypatch.setenv("ASRKD_FAULT_LOG", str(tmp_path / "log"))
    took = []
    for _ in range(5):
        begun = time.monotonic()
        faults.strike("answer")
        took.append(time.monotonic() - begun >= 0.05)
    assert took == [False, False, True, True, True]
    assert len((tmp_path / "log").read_text().splitlines()) == 3


def test_the_answers_of_a_part_are_the_tensors_that_were_given(tmp_path):
    from safetensors.torch import load, save

    arrays = {"values": torch.randn(3, 2).half(), "tokens": torch.zeros(0, 4, dtype=torch.int32)}
    shard = shard_of(tmp_path, 1)
    write_part(shard, 0, [save(arrays)])
    (kept,) = map(load, read_parts(shard))
    assert {name: (value.dtype, value.tolist()) for name, value in kept.items()} == {
        name: (value.dtype, value.tolist()) for name, value in arrays.items()
    }
    assert kept["tokens"].shape == (0, 4)
