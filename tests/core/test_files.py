"""Files are whole or absent, equal contents are equal bytes, and what is torn is said to be."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.locks import lock
from tests import forked

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_name_only_when_the_block_succeeds(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with files.create(path) as stream:
        stream.write("whole")
        stream.flush()
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(tmp_path / "new") == ["a.txt"]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_failed_write_keeps_the_old_file_and_no_partial(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(KeyError), files.create(path) as stream:
        stream.write("half")
        raise KeyError
    assert names(tmp_path) == []
    path.write_bytes(b"before")
    with pytest.raises(KeyError), files.create(path) as stream:
        stream.write("half")
        raise KeyError
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == [name]


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from asrkd.core import files
with files.create(Path(sys.argv[1])) as stream:
    stream.write("half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_nothing_under_the_name(tmp_path):
    path = tmp_path / "a.txt"
    done = forked.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert [name.endswith(".partial") for name in names(tmp_path)] == [True]
    files.write_json(path, {})
    assert path.is_file()


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with files.create(path) as first, files.create(path) as second:
        first.write("first")
        second.write("second")
    assert path.read_text() == "first"  # the one that finished last; it is whole
    assert names(tmp_path) == ["a.txt"]


def test_gzip_has_no_time_and_no_name_and_equal_bytes(tmp_path):
    for name in ("a.gz", "another-name.gz"):
        with files.create(tmp_path / name) as stream:
            stream.write("same\n" * 1000)
    found = (tmp_path / "a.gz").read_bytes()
    assert found == (tmp_path / "another-name.gz").read_bytes()
    assert found[3] & 0x08 == 0  # RFC 1952: FLG.FNAME
    assert found[4:8] == bytes(4)  # RFC 1952: MTIME
    assert gzip.decompress(found) == b"same\n" * 1000


@settings(max_examples=20, deadline=None)
@given(json_values)
def test_json_comes_back_as_it_was_written(tmp_path_factory, record):
    path = tmp_path_factory.mktemp("json") / "record.json"
    files.write_json(path, {"record": record})
    assert files.read_json(path) == {"record": record}


def test_json_bytes_do_not_depend_on_key_order(tmp_path):
    files.write_json(tmp_path / "a", {"x": 1, "y": {"p": "ä", "q": 2}})
    files.write_json(tmp_path / "b", {"y": {"q": 2, "p": "ä"}, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert files.sha256_of({"x": 1, "y": 2}) == files.sha256_of({"y": 2, "x": 1}) != files.sha256_of({"x": 1})


def test_a_number_that_json_does_not_have_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a", {"x": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_lines_come_back_with_their_numbers(tmp_path, name):
    records = [{"id": "a", "text": "ä\u2028b"}, {}, {"id": "c"}]
    assert files.write_jsonl(tmp_path / name, iter(records)) == 3
    assert list(files.read_jsonl(tmp_path / name)) == list(enumerate(records, start=1))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1}\n{"b": \n', r"x.jsonl:2: torn or not JSON"),
        ('{"a": 1}\n[1, 2]\n', r"x.jsonl:2: expected a JSON object, found '\[1, 2\]'"),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(tmp_path, text, complaint):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(AsrkdError, match=complaint) as error:
        list(files.read_jsonl(tmp_path / "x.jsonl"))
    assert "\n" not in str(error.value)


def test_a_line_in_another_encoding_is_named_by_its_number(tmp_path):
    for name, opener in (("x.txt", open), ("x.txt.gz", gzip.open)):
        with opener(tmp_path / name, "wb") as stream:
            stream.write("café\n".encode() * 2000 + "café\n".encode("latin-1") + b"x\n" * 2000)
        with pytest.raises(AsrkdError, match=f"{name}:2001: not UTF-8 .*; convert it, as with iconv"):
            list(files.read_lines(tmp_path / name))


def _line(number: int) -> str:
    """A line that does not compress to nothing."""
    return json.dumps({"id": hashlib.sha256(bytes([number])).hexdigest()})


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_torn_gzip_is_named_with_its_last_readable_line(tmp_path, share):
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress("\n".join(_line(n) for n in range(100)).encode())
    path.write_bytes(whole[: int(share * len(whole))])
    read = 0
    with pytest.raises(AsrkdError) as error:
        for read, _ in files.read_jsonl(path):  # noqa: B007
            pass
    assert str(error.value).startswith(
        (f"{path}: cannot be read after line {read}", f"{path}:{read + 1}: torn")
    )


def test_any_damaged_byte_of_a_gzip_is_an_error_line(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress("\n".join(_line(n) for n in range(4)).encode(), mtime=0)
    for place in range(10, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(AsrkdError, match="x.jsonl.gz") as error:
            list(files.read_jsonl(path))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "read", [files.read_text, files.read_json, lambda path: list(files.read_jsonl(path)), files.sha256]
)
def test_an_absent_file_and_one_that_is_not_text_are_named(tmp_path, read):
    with pytest.raises(AsrkdError, match="nowhere"):
        read(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    if read is not files.sha256:
        with pytest.raises(AsrkdError, match="binary"):
            read(tmp_path / "binary")


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


WAITER = """
import sys
from pathlib import Path
from asrkd.core.locks import lock
print("waiting", flush=True)
with lock(Path(sys.argv[1])):
    print("in", flush=True)
"""


def test_a_lock_lets_one_process_in_at_a_time(tmp_path):
    path = tmp_path / "lock"
    with lock(path):
        command = [sys.executable, "-c", WAITER, str(path)]
        waiter = forked.Popen(command, stdout=subprocess.PIPE, text=True)
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == "waiting\n"
        os.set_blocking(waiter.stdout.fileno(), False)
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(timeout=0.3)
    os.set_blocking(waiter.stdout.fileno(), True)
    assert waiter.stdout.read() == "in\n"
    assert waiter.wait() == 0


@pytest.mark.parametrize("read", [lambda path: list(files.read_lines(path)), files.read_text])
def test_a_folder_is_called_one(tmp_path, read):
    with pytest.raises(AsrkdError, match=": is a folder, expected a file"):
        read(tmp_path)
    with pytest.raises(AsrkdError, match="nothing: no such file"):
        read(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, "nested too deeply"),
        ('{"a": "\\ud83d"}', "lone surrogate"),
        ('{"a": ["\\uDC00"]}', "lone surrogate"),
        ("9" * 5000, "torn or not JSON"),
    ],
)
def test_unusable_json_is_reported_as_torn(tmp_path, text, complaint):
    path = tmp_path / "a.json"
    path.write_text(text + "\n", encoding="utf-8")
    if text.startswith("9") and not hasattr(sys, "get_int_max_str_digits"):
        pytest.skip("this Python reads integers of any length")
    with pytest.raises(AsrkdError, match=f"a.json: .*{complaint}"):
        files.read_json(path)
    with pytest.raises(AsrkdError, match=f"a.json:1: .*{complaint}"):
        list(files.read_jsonl(path))


def test_an_escaped_surrogate_pair_is_one_character(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a": "\U0001f600"}))  # as an ASCII writer has it
    assert files.read_json(tmp_path / "a.json") == {"a": "\U0001f600"}


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": "\ufeff"}\n', encoding="utf-8-sig")
    assert [row["a"] for _, row in files.read_jsonl(tmp_path / "a.jsonl")] == [1, "\ufeff"]


def test_byte_order_marks_are_removed_from_the_first_line(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" * 2 + b"one\n\xef\xbb\xbftwo\n")
    assert list(files.read_lines(tmp_path / "a")) == [(1, "one"), (2, "\ufefftwo")]


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    path = tmp_path / ("x" * 300)
    with pytest.raises(AsrkdError, match="x: cannot be read: File name too long"):
        files.read_text(path)
