"""Faults on purpose strike where and when they are asked to, and nothing is ever half there."""

import sys

import pytest

from asrkd.core import faults, files
from asrkd.core.errors import AsrkdError
from tests import forked

WRITER = """
import sys
from pathlib import Path
from asrkd.core import files
for number in range(4):
    files.write_json(Path(sys.argv[1]) / f"{number}.json", {"number": number})
"""


def run(folder, fault):
    environment = {"ASRKD_FAULT": fault, "ASRKD_FAULT_LOG": str(folder.parent / "log"), "PATH": ""}
    command = [sys.executable, "-c", WRITER, str(folder)]
    return forked.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("fault", "whole", "leftovers"),
    [
        ("kill@open:3", 2, 0),
        ("kill@publish:3", 2, 1),
        ("tear@publish:3", 2, 1),
        ("kill@named:3", 3, 0),
        ("kill@publish:1", 0, 1),
        ("kill@publish:9", 4, 0),
    ],
)
def test_a_kill_leaves_whole_files_and_at_most_one_partial(tmp_path, fault, whole, leftovers):
    folder = tmp_path / "out"
    folder.mkdir()
    ended = run(folder, fault)
    assert ended.returncode == (0 if fault.endswith(":9") else -9)
    names = sorted(path.name for path in folder.glob("*.json"))
    assert names == [f"{number}.json" for number in range(whole)]
    assert [files.read_json(folder / name)["number"] for name in names] == list(range(whole))
    assert len(list(folder.glob("*.partial"))) == leftovers
    log = tmp_path / "log"
    assert (log.read_text().split()[0] == fault) if not fault.endswith(":9") else not log.exists()


@pytest.mark.parametrize(
    ("action", "words"),
    [("nospace", "No space left"), ("readonly", "Read-only file"), ("io", "Input/output")],
)
def test_a_failing_disk_leaves_what_was_whole_and_no_leftover(tmp_path, action, words):
    folder = tmp_path / "out"
    folder.mkdir()
    ended = run(folder, f"{action}@publish:2")
    assert ended.returncode == 1
    assert words in ended.stderr
    assert [path.name for path in folder.iterdir()] == ["0.json"]


@pytest.mark.parametrize("text", ["kill", "kill@", "kill@nowhere", "explode@publish", "kill@publish:x", "@"])
def test_a_fault_that_is_none_is_refused(text):
    with pytest.raises(AsrkdError, match="expected ACTION@POINT"):
        faults.parse(text)


def test_without_the_variable_nothing_happens(monkeypatch, tmp_path):
    monkeypatch.delenv("ASRKD_FAULT", raising=False)
    for point in faults.POINTS:
        faults.strike(point, tmp_path)


def test_broken_audio_is_quarantined_by_what_decodes(monkeypatch, tmp_path):
    import numpy as np
    import soundfile

    from asrkd.data.corpora.recordings import BadAudio, decode, make_cut, read_recording
    from asrkd.data.corpora.utterances import CorpusUtterance

    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    utterance = CorpusUtterance("a", tmp_path / "a.wav", "train", "list:1")
    cut = make_cut(utterance, read_recording(tmp_path / "a.wav", "a"))
    monkeypatch.setenv("ASRKD_FAULT", "audio@decode:2")
    monkeypatch.setattr(faults, "_passed", faults.Counter())
    assert decode(cut).shape == (1, 8000)
    with pytest.raises(BadAudio, match="broken by ASRKD_FAULT"):
        decode(cut)
    assert decode(cut).shape == (1, 8000)
