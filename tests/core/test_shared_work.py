"""Work that processes share: each piece once, none lost, whoever comes, goes or dies."""

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

from asrkd.core import files
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.shared_work import ShardOf, Workers, parse_shard_of, try_lock, work
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import TaskMonitor


@dataclass(frozen=True)
class Note:
    """A piece of work: a file with a word in it."""

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
def test_the_parts_take_each_piece_exactly_once(of, count):
    taken = [
        index for number in range(1, of + 1) for index in range(count) if ShardOf(number, of).takes(index)
    ]
    assert sorted(taken) == list(range(count))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", " 1/2"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(AsrkdError, match="expected K/N with K from 1 to N"):
        parse_shard_of(text)
    assert parse_shard_of("2/3") == ShardOf(2, 3)
    assert parse_shard_of(None) is None


@settings(max_examples=10, deadline=None)
@given(st.permutations([1, 2, 3]))
def test_parts_in_any_order_end_with_nothing_missing_and_only_the_last_sees_that(tmp_path_factory, order):
    pieces = notes(tmp_path_factory.mktemp("notes"), 4)
    shares = {1: 2, 2: 1, 3: 1}
    left = 4
    for number in order:
        progress = work("work", pieces, make, Workers(1, ShardOf(number, 3)), StopRequest())
        left -= shares[number]
        assert (progress.made, progress.missing, progress.total) == (shares[number], left, 4)
    assert not (pieces[0].path.parent / "locks").exists()


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shared_work import make, notes
from asrkd.core.shared_work import Crew, work
from asrkd.core.stopping import StopRequest
print(work("work", notes(Path(sys.argv[2]), 40), make, Crew(), StopRequest()).made)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
def test_processes_that_come_go_and_are_killed_make_every_piece_and_no_piece_twice(tmp_path):
    """But the one that was in the hands of who was killed, which is begun again."""
    pieces = notes(tmp_path, 40)
    first, second = start(tmp_path), start(tmp_path)
    while not (tmp_path / "made.log").exists():
        time.sleep(0.005)
    third = start(tmp_path)
    time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    made = [int(process.communicate(timeout=60)[0] or 0) for process in (second, third)]
    first.wait(timeout=60)
    assert all(piece.is_done() for piece in pieces)
    lines = (tmp_path / "made.log").read_text().splitlines()
    names = [line.split()[0] for line in lines]
    assert set(names) == {piece.path.name for piece in pieces}
    assert len(names) - len(set(names)) <= 1
    by_first = sum(line.split()[1] == str(first.pid) for line in lines)
    assert sum(made) >= 40 - by_first


def test_a_piece_in_other_hands_is_waited_for_and_taken_over_when_they_let_go(tmp_path):
    pieces = notes(tmp_path, 2)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks/note-1.lock")], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    class KillThenGoOn(StopRequest):
        """Kills the holder at the first look."""

        asked = 0

        def reason(self) -> None:
            assert pieces[0].is_done()
            assert self.asked > 0 or not pieces[1].is_done()
            self.asked += 1
            if self.asked == 2:
                holder.kill()
                holder.wait()

    progress = work("work", pieces, make, Workers(), KillThenGoOn())
    assert progress.made == 2
    assert pieces[1].is_done()


HOLDER = """
import sys, time
from pathlib import Path
from asrkd.core.shared_work import try_lock
with try_lock(Path(sys.argv[1])) as ours:
    print(ours, flush=True)
    time.sleep(60)
"""


def test_waiting_for_others_ends_when_a_stop_is_asked_for(tmp_path):
    pieces = notes(tmp_path, 1)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks/note-0.lock")], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(StoppedInTime, match="0 of 1 cuts are done"):
        work("work", pieces, make, Workers(), StopRequest(time_limit_s=0.3))
    holder.kill()
    holder.wait()


def test_leftovers_of_an_hour_ago_are_swept_when_all_is_there_and_younger_ones_stay(tmp_path):
    pieces = [Note(tmp_path / f"shard-{number}") for number in range(2)]
    old, young, other = (
        tmp_path / name for name in ("shard-0.aaaa.partial", "shard-1.bbbb.partial", "else.partial")
    )
    for leftover in (old, young, other):
        leftover.write_text("half")
    for leftover in (old, other):
        os.utime(leftover, (time.time() - 7200,) * 2)
    work("work", pieces, make, Workers(1, ShardOf(1, 2)), StopRequest())
    assert old.exists()  # not all is there yet
    work("work", pieces, make, Workers(1, ShardOf(2, 2)), StopRequest())
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_everybody_works_and_nothing_breaks(tmp_path, monkeypatch, number):
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf", no_locks)
    pieces = notes(tmp_path, 3)
    with (
        try_lock(tmp_path / "locks/note-1.lock") as first,
        try_lock(tmp_path / "locks/note-1.lock") as second,
    ):
        assert first
        assert second
        assert work("work", pieces, make, Workers(), StopRequest()).made == 3
    with files.lock(tmp_path / "a.lock"), files.lock(tmp_path / "a.lock"):
        pass


def test_a_lock_is_free_again_after_its_block_and_leaves_no_file(tmp_path):
    path = tmp_path / "locks" / "x.lock"
    for _ in range(2):
        with try_lock(path) as ours:
            assert ours
            assert path.exists()
        assert list(tmp_path.iterdir()) == []


def test_a_lock_is_got_though_the_last_one_out_removes_the_folder_while_it_is_made(tmp_path, monkeypatch):
    locks, is_dir, removed = tmp_path / "locks", Path.is_dir, list[Path]()
    locks.mkdir()

    def lose_and_look(path: Path, **options: bool) -> bool:
        if path == locks and not removed:
            removed.append(path)
            path.rmdir()
        return is_dir(path, **options)

    monkeypatch.setattr(Path, "is_dir", lose_and_look)
    with try_lock(locks / "x.lock") as ours:
        assert ours
    assert removed


def test_a_file_where_the_folder_of_locks_should_be_is_told(tmp_path):
    (tmp_path / "locks").touch()
    with pytest.raises(FileExistsError, match="locks"), try_lock(tmp_path / "locks" / "x.lock"):
        pass
