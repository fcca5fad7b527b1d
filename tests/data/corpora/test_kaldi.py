"""Kaldi data directories against lhotse's own reader, and rows written by hand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse.kaldi import load_kaldi_data_dir

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora import kaldi
from asrkd.data.corpora.recordings import make_cut, read_recording

FILES = {
    "wav.scp": "r1 r1.wav\nr2 r2.wav\n",
    "segments": "u1 r1 0.1 0.5\nu2 r1 0.5 1.0\nu3 r2 0.25 -1\n",
    "text": "u1 ONE\nu2 TWO  THREE\nu3 FOUR\n",
    "utt2spk": "u1 s1\nu2 s1\nu3 s2\n",
}
WHOLE = {"wav.scp": "a a.wav\nb b.wav\n", "text": "a ONE\nb TWO\n", "utt2spk": "a s\nb s\n"}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_segments_are_those_that_lhotse_reads(tmp_path, monkeypatch):
    for name in ("r1", "r2"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(8000, dtype="float32"), 8000)
    write(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)  # lhotse takes paths from there
    _, theirs, _ = load_kaldi_data_dir(tmp_path, sampling_rate=8000)
    for item in kaldi.list_utterances(tmp_path):
        cut = make_cut(item, read_recording(item.audio, item.recording_id))
        other = theirs[item.id]
        assert (cut.recording_id, cut.start) == (other.recording_id, other.start)
        assert cut.duration == pytest.approx(other.duration)
        assert (cut.supervisions[0].speaker, cut.supervisions[0].text) == (other.speaker, other.text)


def test_an_end_of_minus_one_is_that_of_the_recording(tmp_path):
    soundfile.write(tmp_path / "r2.wav", np.zeros(8000, dtype="float32"), 8000)
    item = kaldi.list_utterances(write(tmp_path, FILES))[2]
    cut = make_cut(item, read_recording(item.audio, "r2"))
    assert (cut.start, cut.duration, cut.num_samples) == (0.25, 0.75, 6000)


def test_without_segments_utterances_are_whole_recordings(tmp_path):
    first, second = kaldi.list_utterances(write(tmp_path / "test", {**WHOLE, "utt2dur": "b 1.5\n"}))
    assert (first.id, first.recording_id, first.duration, first.split) == ("a", None, None, "test")
    assert (second.duration, second.text, second.audio) == (1.5, "TWO", tmp_path / "test/b.wav")


def test_splits_are_named_after_their_folders(tmp_path):
    names = ["train_a", "train_b", "dev", "test_clean", "test_other", "extra"]
    for name in names:
        write(
            tmp_path / name,
            {k: v.replace("a ", f"{name}1 ").replace("b ", f"{name}2 ") for k, v in WHOLE.items()},
        )
    found = {item.id.rstrip("12"): item.split for item in kaldi.list_utterances(tmp_path)}
    assert found == {
        "train_a": "train",
        "train_b": "train",
        "dev": "dev",
        "test_clean": "test_clean",
        "test_other": "test_other",
        "extra": "extra",
    }


def test_relative_paths_may_be_from_the_working_directory(tmp_path, monkeypatch):
    folder = write(tmp_path / "data/test", WHOLE)
    (tmp_path / "a.wav").touch()
    monkeypatch.chdir(tmp_path)
    first, second = kaldi.list_utterances(folder)
    assert (first.audio, second.audio) == (tmp_path / "a.wav", folder / "b.wav")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"wav.scp": "a sph2pipe -f wav a.sph |\nb b.wav\n"},
            "wav.scp:1: a command, .*write its output to a file",
        ),
        ({"wav.scp": "a wav.ark:17\nb b.wav\n"}, "wav.scp:1: an offset in an archive"),
        ({"wav.scp": "a\nb b.wav\n"}, "wav.scp:1: no path"),
        ({"wav.scp": "a a.wav\na b.wav\n"}, "wav.scp:2: duplicate id 'a', first at .*wav.scp:1"),
        ({"wav.scp": "a a.wav\n\nb b.wav\n"}, "wav.scp:2: empty line"),
        ({"text": "a ONE\nc TWO\n"}, "text:2: utterance 'c' has no audio in this folder"),
        ({"segments": "u r9 0 1\n"}, "segments:1: recording 'r9' is not in"),
        ({"segments": "u a 0\n"}, "segments:1: expected 'utterance recording start end'"),
        ({"segments": "u a 0 x\n"}, "segments:1: end 'x': expected seconds"),
        ({"segments": "u a nan 1\n"}, "segments:1: start 'nan': expected seconds"),
        ({"segments": "u a 0 1e400\n"}, "segments:1: end '1e400': expected seconds"),
        ({"utt2dur": "a inf\n"}, "utt2dur:1: duration 'inf': expected seconds"),
        ({"utt2dur": "a 1_0\n"}, "utt2dur:1: duration '1_0': expected seconds"),
        ({"utt2dur": "a \u0661\n"}, "utt2dur:1: duration '\u0661': expected seconds"),
        ({"utt2dur": "a long\n"}, "utt2dur:1: duration 'long': expected seconds"),
    ],
)
def test_a_wrong_list_is_refused_by_line(tmp_path, changes, complaint):
    files = {**WHOLE, **changes}
    if "segments" in changes:
        files = {"wav.scp": WHOLE["wav.scp"], **changes}
    write(tmp_path, files)
    with pytest.raises(AsrkdError, match=complaint):
        kaldi.list_utterances(tmp_path)


def test_a_folder_without_lists_is_refused(tmp_path):
    with pytest.raises(AsrkdError, match="no wav.scp in it or in its folders"):
        kaldi.list_utterances(tmp_path)
