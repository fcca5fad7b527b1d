"""Shared work: each item is made once and none is lost, whichever process joins, leaves or dies."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.locks import lock, try_lock
from asrkd.core.shared_work import FEWER_JOBS, SMALLER_SHARDS, ShardOf, Workers, parse_shard_of, work
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import TaskMonitor
from tests import forked


@dataclass(frozen=True)
class Note:
    """A work item: a file with a word in it."""

    path: Path
    size: int = 1

    def is_done(self) -> bool:
        return self.path.is_file()


def make(note: Note, _monitor: TaskMonitor) -> None:
    with (note.path.parent / "made.log").open("a") as log:
        log.write(f"{note.path.name} {os.getpid()}\n")
    time.sleep(0.02)
    note.path.write_text("done")


def notes(folder: Path, count: int) -> list[Note]:
    folder.mkdir(exist_ok=True)
    return [Note(folder / f"note-{number}") for number in range(count)]


@given(st.integers(1, 12), st.integers(0, 40))
def test_the_shards_take_each_item_exactly_once(of, count):
    taken = [
        index for number in range(1, of + 1) for index in range(count) if ShardOf(number, of).takes(index)
    ]
    assert sorted(taken) == list(range(count))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", " 1/2"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(AsrkdError, match="expected K/N with K from 1 to N"):
        parse_shard_of(text)
    assert parse_shard_of("2/3") == ShardOf(2, 3)
    assert parse_shard_of(None) is None


@settings(max_examples=10, deadline=None)
@given(st.permutations([1, 2, 3]))
def test_only_the_last_of_shards_in_any_order_sees_all_done(tmp_path_factory, order):
    items = notes(tmp_path_factory.mktemp("notes"), 4)
    shares = {1: 2, 2: 1, 3: 1}
    left = 4
    for number in order:
        progress = work("work", items, make, Workers(1, ShardOf(number, 3)), StopRequest())
        left -= shares[number]
        assert (progress.written, progress.missing, progress.total) == (shares[number], left, 4)
    assert not (items[0].path.parent / "locks").exists()


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shared_work import make, notes
from asrkd.core.shared_work import Workers, work
from asrkd.core.stopping import StopRequest
print(work("work", notes(Path(sys.argv[2]), 40), make, Workers(), StopRequest()).written)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(folder)]
    return forked.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
def test_killed_processes_lose_and_repeat_no_finished_item(tmp_path):
    """Except the item that the killed process held, which is begun again."""
    items = notes(tmp_path, 40)
    first, second = start(tmp_path), start(tmp_path)
    while not (tmp_path / "made.log").exists():
        time.sleep(0.005)
    third = start(tmp_path)
    time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    made = [int(process.communicate(timeout=60)[0] or 0) for process in (second, third)]
    first.wait(timeout=60)
    assert all(item.is_done() for item in items)
    lines = (tmp_path / "made.log").read_text().splitlines()
    names = [line.split()[0] for line in lines]
    assert set(names) == {item.path.name for item in items}
    assert len(names) - len(set(names)) <= 1
    by_first = sum(line.split()[1] == str(first.pid) for line in lines)
    assert sum(made) >= 40 - by_first


def test_an_item_of_another_process_is_waited_for_or_taken_over(tmp_path):
    items = notes(tmp_path, 2)
    holder = forked.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks/note-1.lock")], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    class KillThenGoOn(StopRequest):
        """Kills the holder at the first look."""

        looks = 0

        def reason(self) -> None:
            assert items[0].is_done()
            assert self.looks > 0 or not items[1].is_done()
            self.looks += 1
            if self.looks == 2:
                holder.kill()
                holder.wait()

    progress = work("work", items, make, Workers(), KillThenGoOn())
    assert progress.written == 2
    assert items[1].is_done()


HOLDER = """
import sys, time
from pathlib import Path
from asrkd.core.locks import try_lock
with try_lock(Path(sys.argv[1])) as is_held:
    print(is_held, flush=True)
    time.sleep(60)
"""


def test_waiting_for_others_ends_when_a_stop_is_requested(tmp_path):
    items = notes(tmp_path, 1)
    holder = forked.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks/note-0.lock")], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(StoppedInTime, match="0 of 1 cuts are done"):
        work("work", items, make, Workers(), StopRequest(time_limit_s=0.3))
    holder.kill()
    holder.wait()


def test_old_leftovers_are_removed_and_young_ones_stay(tmp_path):
    items = [Note(tmp_path / f"shard-{number}") for number in range(2)]
    old, young, other = (
        tmp_path / name for name in ("shard-0.aaaa.partial", "shard-1.bbbb.partial", "else.partial")
    )
    for leftover in (old, young, other):
        leftover.write_text("half")
    for leftover in (old, other):
        os.utime(leftover, (time.time() - 7200,) * 2)
    work("work", items, make, Workers(1, ShardOf(1, 2)), StopRequest())
    assert old.exists()  # not all is there yet
    work("work", items, make, Workers(1, ShardOf(2, 2)), StopRequest())
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_every_process_works_and_nothing_breaks(tmp_path, monkeypatch, number):
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf", no_locks)
    items = notes(tmp_path, 3)
    with (
        try_lock(tmp_path / "locks/note-1.lock") as first,
        try_lock(tmp_path / "locks/note-1.lock") as second,
    ):
        assert first
        assert second
        assert work("work", items, make, Workers(), StopRequest()).written == 3
    with lock(tmp_path / "a.lock"), lock(tmp_path / "a.lock"):
        pass


def test_a_lock_is_released_and_leaves_no_file(tmp_path):
    path = tmp_path / "locks" / "x.lock"
    for _ in range(2):
        with try_lock(path) as is_held:
            assert is_held
            assert path.exists()
        assert list(tmp_path.iterdir()) == []


def test_a_lock_survives_removal_of_its_folder(tmp_path, monkeypatch):
    locks, is_dir, removed = tmp_path / "locks", Path.is_dir, list[Path]()
    locks.mkdir()

    def lose_and_look(path: Path, **options: bool) -> bool:
        if path == locks and not removed:
            removed.append(path)
            path.rmdir()
        return is_dir(path, **options)

    monkeypatch.setattr(Path, "is_dir", lose_and_look)
    with try_lock(locks / "x.lock") as is_held:
        assert is_held
    assert removed


def test_a_file_where_the_folder_of_locks_should_be_is_an_error(tmp_path):
    (tmp_path / "locks").touch()
    with pytest.raises(FileExistsError, match="locks"), try_lock(tmp_path / "locks" / "x.lock"):
        pass


def test_jobs_beyond_the_items_are_a_warning_and_a_part_without_items_shows_no_progress(tmp_path, capsys):
    items = notes(tmp_path / "few", 1)
    result = work("few", items, make, Workers(1, ShardOf(3, 4)), StopRequest(), idle_remedy=FEWER_JOBS)
    assert capsys.readouterr().err == "asrkd: warning: 1 shard for 4 jobs; 3 will idle: use fewer jobs\n"
    assert result.text() == "0 of 1 shard done; finish with the other --shard runs, or without --shard"
    work("few", items, make, Workers(2), StopRequest(), idle_remedy=SMALLER_SHARDS)
    assert "1 will idle: use --cuts-per-shard N or fewer jobs" in capsys.readouterr().err
    work("few", items, make, Workers(2), StopRequest(), idle_remedy=SMALLER_SHARDS)  # nothing is left
    assert "idle" not in capsys.readouterr().err
