"""Errors of libraries that are really raised, and what a command says of them; bugs stay tracebacks."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import lhotse
import pytest
import safetensors.torch
import sentencepiece
import soundfile
import torch
import yaml

from asrkd.cli import main
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.library_errors import as_user_error, user_errors
from asrkd.data.tokens import train_bpe, train_char
from asrkd.models import directory


def tensors(path: Path) -> None:
    safetensors.torch.load_file(str(path))


def cuts(path: Path) -> None:
    list(lhotse.CutSet.from_file(path))


def audio(path: Path) -> None:
    soundfile.read(str(path))


def pieces(path: Path) -> None:
    sentencepiece.SentencePieceProcessor().load_from_serialized_proto(path.read_bytes())


def document(path: Path) -> None:
    yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("read", "library"),
    [
        (tensors, "safetensors"),
        (cuts, "lhotse"),
        (audio, "soundfile"),
        (pieces, "sentencepiece"),
        (document, "yaml"),
    ],
)
def test_a_library_error_is_a_line_that_names_the_library(tmp_path, read, library):
    path = tmp_path / "broken.jsonl"
    path.write_text("[1, 2: {")
    with pytest.raises(AsrkdError) as raised, user_errors():
        read(path)
    message = str(raised.value)
    assert library in message
    assert "ASRKD_TRACEBACK=1" in message
    assert "\n" not in message


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("y"), RuntimeError("z"), AssertionError()])
def test_what_our_own_code_raises_stays_a_bug(error):
    with pytest.raises(type(error)), user_errors():
        raise error


def test_the_file_in_hand_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a b.safetensors"
    path.write_bytes(bytes(20))
    monkeypatch.setattr(files, "read_text", tensors)  # a reader of asrkd's that meets the library's error
    monkeypatch.setitem(tensors.__globals__, "__name__", "asrkd.of_this_test")
    with (
        pytest.raises(AsrkdError, match=f"^{path}: safetensors failed.*asrkd check '{path}'"),
        user_errors(),
    ):
        files.read_text(path)


def test_a_traceback_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("ASRKD_TRACEBACK", "1")
    assert as_user_error(OSError(errno.ENOSPC, "full")) is None


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE, errno.EMFILE]
)
def test_every_error_of_the_system_is_a_line(number):
    message = str(as_user_error(OSError(number, os.strerror(number), "some/file")))
    assert message == f"some/file: {os.strerror(number)}; fix that and run the command again"


def test_a_full_disk_in_safetensors_is_a_system_error(tmp_path):
    """A limit on the size of files stands for the end of the disk."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most[1]))
    try:
        with pytest.raises(OSError) as raised, files.create_aside(tmp_path / "m.safetensors") as partial:  # noqa: PT011
            safetensors.torch.save_file({"x": torch.zeros(100_000)}, str(partial))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(tmp_path / "m.safetensors")


def test_names_that_are_no_unicode_are_a_line(tmp_path):
    with pytest.raises(AsrkdError, match=r"m\.json: .*caf\\udce9.* is not Unicode; rename"), user_errors():
        files.write_json(tmp_path / "m.json", {"path": "caf\udce9.wav"})
    assert not (tmp_path / "m.json").exists()


def run(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The shell's ``command``, in which $ASRKD is the program."""
    own = {"ASRKD": f"{sys.executable} -m asrkd", **environment}
    return subprocess.run(["bash", "-c", command], capture_output=True, env={**os.environ, **own})


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scores")
    (folder / "ref").write_text("u1 a b c\nu2 d e f\n")
    (folder / "hyp").write_text("u1 a b\nu2 d x f\n")
    for name in ("ref", "hyp"):
        main.app(
            [
                "score",
                "--ref",
                str(folder / "ref"),
                "--hyp",
                str(folder / name),
                "--out",
                str(folder / name[0]),
            ],
            standalone_mode=False,
        )
    return folder


@pytest.mark.parametrize(
    ("redirected", "encoding", "status"),
    [
        ("", "latin-1", 0),
        ("", "ascii", 0),  # typer takes this for a mistake, and writes UTF-8
        (">&-", "utf-8", 0),
        ("2>&-", "utf-8", 0),
        (">/dev/full", "utf-8", 1),
    ],
)
def test_a_table_is_printed_to_any_terminal(scores, redirected, encoding, status):
    done = run(
        f"$ASRKD compare {scores}/h {scores}/r {redirected}", PYTHONIOENCODING=encoding, PYTHONUTF8="0"
    )
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == status
    if encoding == "latin-1":
        assert b"----" in done.stdout


def test_standard_error_that_is_full_ends_nothing():
    code = (
        "import sys; from asrkd.core.terminal import prepare_streams; prepare_streams(); "
        "print('note', file=sys.stderr, flush=True); print('on')"
    )
    done = run(f'{sys.executable} -c "{code}" 2>/dev/full')
    assert done.returncode == 0
    assert done.stdout == b"on\n"


def test_a_model_below_a_name_that_is_no_unicode_says_so(tmp_path, monkeypatch):
    folder = tmp_path / "caf\udce9"
    monkeypatch.setattr(directory, "read_architecture", lambda path: None)
    monkeypatch.setattr(directory, "build_model", lambda architecture: None)
    monkeypatch.setattr(directory.Tokens, "load", lambda path: train_char(["a"]))
    monkeypatch.setattr(directory.files, "read_json", lambda path: {"tokens": train_char(["a"]).identity()})
    with pytest.raises(AsrkdError, match=r"caf\\udce9.* is not Unicode; rename"), user_errors():
        directory._load(folder, "cpu", 0)


def test_a_transcript_that_bpe_cannot_fill_is_a_line_of_ours():
    with pytest.raises(AsrkdError, match="--vocab-size 3"):
        train_bpe(["A"], 3)
