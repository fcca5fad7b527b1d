"""Dry runs: what they say is what then comes, and nothing is written."""

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest

from asrkd.cli import main
from asrkd.commands import distill, distill_quantizer
from asrkd.commands.distill_request import DistillRequest, quantizer_request
from asrkd.commands.dry_run import DryRun, size_text, time_text
from asrkd.commands.dry_run_bytes import predicted_lengths
from asrkd.commands.dry_run_costs import spread_rows
from asrkd.commands.dry_run_quantizer import TrainingSeconds
from asrkd.commands.dry_run_store import longest_process
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.shared_work import ShardOf
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.decoding import SearchOptions
from asrkd.quantizer.options import QuantizerOptions
from asrkd.targets.store.nbest import NbestStore
from tests.stop_after import StopAfter

UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6}
STOP = StopRequest()
QUANTIZER = quantizer_request(2, 2, steps=12)

Ask = Callable[[DistillRequest], str]


@pytest.fixture
def kinds(stores: Path) -> dict[str, Ask]:
    """Commands of distill, as functions of a request."""
    return {
        "nbest": lambda request: distill.nbest(
            request, "prefix-beam", SearchOptions(beam=4, num_best=4), STOP
        ),
        "codebook": lambda request: distill.codebook(request, stores / "quantizer", STOP),
        "posterior": lambda request: distill.posterior(request, 3, "float16", STOP),
        "full posterior": lambda request: distill.posterior(request, "all", "float32", STOP),
        "hidden": lambda request: distill.hidden(request, 1, "float16", STOP),
        "quantizer": lambda request: distill_quantizer.quantizer(request, QUANTIZER, STOP),
    }


KINDS = ("nbest", "codebook", "posterior", "full posterior", "hidden", "quantizer")


@pytest.fixture
def request_(teacher: Path, corpus: Path, tmp_path: Path, monkeypatch) -> DistillRequest:
    """The thirty training cuts, in eight shards; temporary folders are looked at by :func:`is_clean`."""
    (tmp_path / "temporary").mkdir()
    get_temp_dir()  # of sockets, which others share: before, or it would be made in this one
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), tmp_path / "out", cuts_per_shard=4)


def dry(request: DistillRequest, **more: int) -> DistillRequest:
    return replace(request, dry_run=DryRun(time.monotonic(), **more))


def size(text: str) -> float:
    """Bytes that a dry run says."""
    number, unit = re.search(r"  disk  ([\d.]+) (\w+)", text).groups()
    return float(number) * UNITS[unit]


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_those_that_come_and_nothing_is_written(kind, kinds, request_, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    text = kinds[kind](dry(request_))
    assert sorted(tmp_path.rglob("*")) == before
    kinds[kind](request_)
    assert size(text) == pytest.approx(written(request_.out), rel=0.03)
    assert re.search(r"  time  (\d+ min )?[\d.]+ s ", text)
    assert kinds[kind](dry(request_)) == f"{request_.out}: dry run: already complete, nothing to do"


def test_what_is_left_of_a_begun_store_is_reported(kinds, request_):
    kinds["hidden"](request_)
    whole = size(kinds["hidden"](dry(replace(request_, out=request_.out.with_name("other")))))
    for name in ("stamp.json", "shard-00002-of-00008.safetensors", "shard-00005-of-00008.index.jsonl.gz"):
        (request_.out / name).unlink()
    contents = {path: path.stat().st_mtime_ns for path in request_.out.rglob("*")}
    text = kinds["hidden"](dry(request_))
    assert "  left  2 of 8 shards, 8 cuts, " in text
    assert 0.15 * whole < size(text) < 0.35 * whole
    assert {path: path.stat().st_mtime_ns for path in request_.out.rglob("*")} == contents


def test_cuts_in_parts_are_not_left(request_):
    stop = StopAfter(6)
    with pytest.raises(StoppedInTime):
        distill.hidden(replace(request_, cuts_per_shard=40), 1, "float16", stop)
    (part,) = (request_.out / "parts").iterdir()
    saved = int(part.name.split(".")[-2].split("-")[1])
    text = distill.hidden(dry(replace(request_, cuts_per_shard=40)), 1, "float16", STOP)
    assert f"  left  1 shard, {30 - saved} cuts, " in text
    assert part.is_file()
    part.rename(part.with_name(part.name.replace(f"-{saved:06d}.", "-000030.")))  # as if all were saved
    text = distill.hidden(dry(replace(request_, cuts_per_shard=40)), 1, "float16", STOP)
    assert "  left  1 shard, 0 cuts, 0 h of audio" in text


def test_a_part_of_the_shards_and_one_of_several_jobs(kinds, request_):
    text = kinds["posterior"](dry(replace(request_, shard_of=ShardOf(2, 3))))
    assert "  left  3 of 8 shards, 10 cuts, " in text
    assert " with --shard 2/3 --jobs 1, " in text
    text = kinds["posterior"](dry(replace(request_, shard_of=ShardOf(1, 3)), tasks=3))
    assert " with one of 3 jobs, " in text


def test_of_several_jobs_the_one_with_most_left_is_measured(kinds, request_):
    kinds["hidden"](request_)
    for number in (1, 3, 5):  # of eight: of two jobs the first has nothing left
        (request_.out / f"shard-{number:05d}-of-00008.safetensors").unlink()
    (request_.out / "stamp.json").unlink()
    for tasks, left in ((2, "3 of 8 shards, 12 cuts"), (8, "1 of 8 shards, 4 cuts"), (99, "1 of 8 shards")):
        request = replace(request_, shard_of=ShardOf(1, tasks))
        assert f"  left  {left}" in kinds["hidden"](dry(request, tasks=tasks))
    assert kinds["hidden"](dry(replace(request_, shard_of=ShardOf(1, 2)))).endswith(
        "dry run: no shard of this part is left, nothing to do"
    )


def test_a_folder_without_its_stamp_alone_is_reported(kinds, request_):
    for kind, left in (
        ("hidden", "all shards are written, not the stamp"),
        ("quantizer", "it is trained, without the stamp"),
    ):
        request = replace(request_, out=request_.out.with_name(kind))
        kinds[kind](request)
        (request.out / "stamp.json").unlink()
        assert kinds[kind](dry(request)) == f"{request.out}: dry run: {left}"


def test_other_settings_and_mistakes_are_refused_as_by_the_command(kinds, request_, tmp_path):
    kinds["hidden"](request_)
    for request in (request_, dry(request_)):
        with pytest.raises(AsrkdError, match="created with other settings: layer was 1, is now 2"):
            distill.hidden(request, 2, "float16", STOP)
        with pytest.raises(AsrkdError, match="--layer 9: the encoder has layers 1 to 2"):
            distill.hidden(request, 9, "float16", STOP)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/notes.txt").write_text("mine")
    with pytest.raises(AsrkdError, match="holds 'notes.txt' but no contract.json"):
        kinds["hidden"](dry(replace(request_, out=tmp_path / "foreign")))


@pytest.mark.parametrize("stops_at", [0, 1])
def test_a_stop_ends_a_dry_run_and_leaves_nothing(stops_at, request_, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoppedInTime, match="a dry run writes nothing"):
        distill.hidden(dry(request_), 1, "float16", StopAfter(stops_at))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_of_codebooks_is_measured_with_a_quantizer_that_is_not_trained_yet(request_, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    text = distill.codebook(dry(request_), QUANTIZER, STOP)
    assert sorted(tmp_path.rglob("*")) == before
    of_quantizer, of_store = text.split(f"{request_.out}: dry run")
    assert of_quantizer.startswith(f"{request_.out}-quantizer: dry run, nothing is written")
    distill.codebook(request_, QUANTIZER, STOP)
    assert size(of_quantizer) == pytest.approx(written(tmp_path / "out-quantizer"), rel=0.03)
    assert size(of_store) == pytest.approx(written(request_.out), rel=0.03)


def test_a_resumed_quantizer_has_fewer_steps_left(request_, corpus):
    with pytest.raises(StoppedInTime):
        distill_quantizer.quantizer(request_, QUANTIZER, StopAfter(40))
    assert (request_.out / "unfinished/checkpoint.safetensors").is_file()
    text = distill_quantizer.quantizer(dry(request_), QUANTIZER, STOP)
    left = re.search(r"  left  0 of 30 utterances, 0 h of audio; (\d+) of 24 steps", text)
    assert 0 < int(left[1]) < 24


@pytest.mark.slow
def test_processes_are_measured_side_by_side(kinds, request_, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    text = kinds["nbest"](dry(replace(request_, jobs=2)))
    assert sorted(tmp_path.rglob("*")) == before
    assert " with --jobs 2, " in text and "; 30 cuts measured" in text
    kinds["nbest"](request_)
    assert size(text) == pytest.approx(written(request_.out), rel=0.03)


@pytest.mark.parametrize("more", [(), ("--launcher", "local", "--jobs", "3"), ("--jobs", "1")])
def test_the_option_of_the_command_line(more, request_, capsys, monkeypatch):
    words = ["distill", "hidden", "--teacher", request_.teacher, "--cuts", request_.cuts[0], "--layer", 1]
    words = [str(word) for word in [*words, "--out", request_.out, "--cuts-per-shard", 10, *more]]
    if "local" in more:
        monkeypatch.setattr("asrkd.commands.dry_run_store.run_tasks", one_by_one)
    main.app([*words, "--dry-run"], standalone_mode=False)
    text = capsys.readouterr().out
    assert text.startswith(f"{request_.out}: dry run, nothing is written; ")
    assert (" with one of 3 jobs, " in text) == ("local" in more)
    assert not request_.out.exists()
    assert not request_.out.with_name("out-logs").exists()
    main.app([*words[:12]], standalone_mode=False)
    assert size(text) * (3 if "local" in more else 1) == pytest.approx(written(request_.out), rel=0.3)
    assert "--dry-run" not in json.loads((request_.out / "sources.json").read_text())["command"]


def one_by_one(function, tasks, *, jobs, watch):
    """Tasks in this process, in the place of workers; none waits for another."""
    from asrkd.core.parallel import run_tasks

    return run_tasks(function, [replace(task, processes=1) for task in tasks], jobs=1, watch=watch)


def test_options_of_a_launch_are_checked(request_):
    words = ["distill", "hidden", "--teacher", request_.teacher, "--cuts", request_.cuts[0], "--layer", 1]
    words = [str(word) for word in [*words, "--out", request_.out, "--dry-run"]]
    for more, complaint in (
        (("--launcher", "pigeon"), "--launcher pigeon: expected slurm or local"),
        (("--partition", "big"), "no effect without jobs; add --launcher slurm"),
        (("--launcher", "local", "--shard", "1/2"), "the launcher gives each job its own"),
        (("--launcher", "local", "--jobs", "0"), "--jobs 0: expected 1 or more"),
    ):
        with pytest.raises(AsrkdError, match=re.escape(complaint)):
            main.app([*words, *more], standalone_mode=False)


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
def test_every_beginning_of_the_sample_is_spread_over_all_durations(count):
    durations = [float((37 * row) % count) for row in range(count)]
    rows = spread_rows(durations)
    assert sorted(rows) == list(range(count))
    for size_ in (1 << power for power in range(count.bit_length() - 1)):
        ranks = sorted(sorted(durations).index(durations[row]) for row in rows[:size_])
        widths = [after - before for before, after in zip(ranks, [*ranks[1:], count], strict=True)]
        assert max(widths) <= -(-count // size_) + 1
    assert spread_rows(durations, 3) == rows[:3]


def test_lengths_of_lists_follow_durations_and_texts(stores, corpus):
    store, cuts = NbestStore(stores / "nbest"), read_cuts(corpus / "cuts_train.jsonl.gz").records
    lengths = {cut.id: store.entry(cut.id)[1].length for cut in cuts}
    exact = {cut.id: round(100 + 20 * cut.duration + 3 * len(cut.texts[0])) for cut in cuts}
    measured = {cut.id: exact[cut.id] for cut in cuts[:14]}
    assert predicted_lengths({"kind": "nbest"}, measured, cuts) == pytest.approx(exact, abs=1)
    few = predicted_lengths({"kind": "nbest"}, {cut.id: lengths[cut.id] for cut in cuts[::2]}, cuts)
    assert all(few[cut.id] == lengths[cut.id] for cut in cuts[::2])
    assert sum(few.values()) == pytest.approx(sum(lengths.values()), rel=0.1)


def test_frames_follow_the_length_rule(stores, corpus):
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz").records
    contract = json.loads((stores / "codebook/contract.json").read_text())
    frames = {cut.id: -(-round(100 * cut.duration) // 4) for cut in cuts}  # one of four of 10 ms
    assert predicted_lengths(contract, {cuts[0].id: frames[cuts[0].id]}, cuts) == pytest.approx(frames)


@pytest.mark.parametrize(
    ("shards", "processes", "seconds"),
    [([3, 3, 3], 1, 9), ([3, 3, 3], 2, 6), ([5, 1, 1, 1], 2, 5), ([1, 1, 1, 5], 2, 6), ([2], 4, 2)],
)
def test_the_longest_process_takes_each_shard_when_it_is_free(shards, processes, seconds):
    assert longest_process(shards, processes) == seconds


def test_steps_of_a_training_are_added_up_by_kind():
    options = QuantizerOptions(phase_one_steps=100, phase_two_steps=200)
    seconds = TrainingSeconds(1.0, 2.0, 3.0, solving=10.0, checkpoint=0.5, measuring=7.0)
    # 150 steps of phase two, 50 that settle, 8 times solved; a checkpoint at both ends and every 30 s.
    assert seconds.left(options, 0) == 100 + 300 + 150 + 80 + 0.5 * (2 + 630 // 30) + 7
    assert seconds.left(options, 260) == 3 * 40 + 2 * 10 + 0.5 * (1 + 140 // 30) + 7


def test_sizes_and_times_in_words():
    assert [size_text(n) for n in (0, 999, 1234, 45_600, 1.239e9, 5e13)] == [
        "0 bytes", "999 bytes", "1.234 kB", "45.6 kB", "1.239 GB", "50 TB",
    ]  # fmt: skip
    assert [time_text(s) for s in (0.04, 59.9, 60, 312, 3599, 12_000, 190_000)] == [
        "0.0 s", "59.9 s", "1 min 0 s", "5 min 12 s", "59 min 59 s", "3 h 20 min", "2 d 4 h",
    ]  # fmt: skip
