"""Shards of a list of cuts: planned from the list alone, filled where they are missing."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import MonoCut, Recording

from asrkd.core.errors import StoppedInTime
from asrkd.core.shared_work import Workers, work
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import TaskMonitor
from asrkd.targets.store.shards import Shard, shard_name, split_cuts


class StopAtOnce(StopRequest):
    def reason(self) -> str:
        return "a test"


def make_shards(folder: Path, count: int, cuts_per_shard: int = 1) -> list[Shard]:
    recording = Recording("r", [], 8000, 8000, 1.0)
    cuts = [MonoCut(f"cut-{number}", 0, 1, 0, recording=recording) for number in range(count)]
    split = split_cuts(folder, cuts, cuts_per_shard, ".txt")
    return [Shard(path, part, Path("model"), "cpu") for path, part in split]


def write_ids(shard: Shard, _monitor: TaskMonitor) -> None:
    shard.path.write_text(" ".join(cut.id for cut in shard.cuts))


def write_slowly(shard: Shard, monitor: TaskMonitor) -> None:
    time.sleep(0.4)
    write_ids(shard, monitor)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12))
def test_shards_are_runs_of_the_list_and_say_how_many_they_are(count, cuts_per_shard):
    shards = make_shards(Path("x"), count, cuts_per_shard)
    assert [cut.id for shard in shards for cut in shard.cuts] == [f"cut-{n}" for n in range(count)]
    assert {len(shard.cuts) for shard in shards[:-1]} <= {cuts_per_shard}
    names = [f"shard-{n:05d}-of-{-(-count // cuts_per_shard):05d}.txt" for n in range(len(shards))]
    assert [shard.path for shard in shards] == [Path("x") / name for name in names]
    assert shard_name(3, 12, ".gz") == "shard-00003-of-00012.gz"


def test_only_what_is_missing_is_written(tmp_path, capsys):
    shards = make_shards(tmp_path, 5, 2)
    shards[1].path.write_text("kept")
    assert work("work", shards, write_ids, Workers(), StopRequest()).written == 2
    assert [shard.path.read_text() for shard in shards] == ["cut-0 cut-1", "kept", "cut-4"]
    assert work("work", shards, write_ids, Workers(), StopRequest()).written == 0
    assert "work: 5/5 cuts" in capsys.readouterr().err


def test_stops_are_checked_between_shards_not_after_the_last(tmp_path):
    shards = make_shards(tmp_path, 2)
    with pytest.raises(StoppedInTime, match="1 of 2 cuts are done"):
        work("work", shards, write_ids, Workers(), StopAtOnce())
    assert [shard.path.exists() for shard in shards] == [True, False]
    assert work("work", shards, write_ids, Workers(), StopAtOnce()).written == 1


@pytest.mark.slow
def test_workers_end_while_the_error_is_being_reported(tmp_path):
    shards = make_shards(tmp_path, 8)
    with pytest.raises(StoppedInTime) as error:
        work("work", shards, write_slowly, Workers(2), StopAtOnce())
    left = [shard.path.exists() for shard in shards]
    assert sum(left) < 8
    time.sleep(1)
    assert [shard.path.exists() for shard in shards] == left
    assert error.value.__traceback__ is not None  # it still holds the frames of work
