"""lhotse's manifests, as lhotse itself writes them, read back as cuts."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.audio import AudioSource

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.lhotse_cuts import list_manifests, read_splits
from asrkd.data.corpora.recordings import decode


def make_recording(folder: Path, name: str, path: str | None = None) -> Recording:
    file = folder / f"{name}.wav"
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.zeros(8000, dtype="float32"), 8000)
    recording = Recording.from_file(file, recording_id=name)
    recording.sources[0].source = path or f"{name}.wav"
    return recording


def make_cut(recording: Recording, cut_id: str, num_supervisions: int = 1) -> MonoCut:
    supervisions = [
        SupervisionSegment(f"{cut_id}-{index}", recording.id, 0.0, 0.5, text="ONE", speaker="s")
        for index in range(num_supervisions)
    ]
    return MonoCut(cut_id, 0.25, 0.5, 0, supervisions=supervisions, recording=recording)


def write_cuts(path: Path, *cuts: MonoCut) -> None:
    CutSet.from_cuts(cuts).to_file(path)


def test_every_manifest_of_a_folder_is_a_split(tmp_path):
    recording = make_recording(tmp_path, "r")
    write_cuts(tmp_path / "cuts_train.jsonl.gz", make_cut(recording, "a"))
    write_cuts(tmp_path / "librispeech_cuts_dev-clean.jsonl", make_cut(recording, "b"))
    splits = read_splits(list_manifests(tmp_path))
    assert {split: [cut.id for cut in cuts] for split, cuts in splits.items()} == {
        "train": ["a"],
        "dev-clean": ["b"],
    }
    (cut,) = splits["train"]
    assert (cut.start, cut.duration, cut.supervisions[0].text) == (0.25, 0.5, "ONE")
    assert cut.recording.sources[0].source == str(tmp_path / "r.wav")


@pytest.mark.parametrize(("name", "split"), [("cuts_test.jsonl.gz", "test"), ("mine.jsonl", "mine")])
def test_one_manifest_may_be_given_alone(tmp_path, name, split):
    write_cuts(tmp_path / name, make_cut(make_recording(tmp_path, "r"), "a"))
    assert list(read_splits(list_manifests(tmp_path / name))) == [split]


def test_recordings_and_supervisions_are_joined_by_their_ids(tmp_path):
    recordings = [make_recording(tmp_path, name) for name in ("r1", "r2")]
    supervisions = [
        SupervisionSegment("u1", "r2", 0.1, 0.4, text="ONE"),
        SupervisionSegment("u2", "r1", 0.0, 1.0, text="TWO"),
        SupervisionSegment("u3", "r2", 0.5, 0.5, text="THREE"),
    ]
    RecordingSet.from_recordings(recordings).to_file(tmp_path / "x_recordings_dev.jsonl.gz")
    SupervisionSet.from_segments(supervisions).to_file(tmp_path / "x_supervisions_dev.jsonl.gz")
    cuts = read_splits(list_manifests(tmp_path))["dev"]
    found = [(c.id, c.recording_id, c.start, c.duration, c.supervisions[0].start) for c in cuts]
    assert found == [("u1", "r2", 0.1, 0.4, 0.0), ("u2", "r1", 0.0, 1.0, 0.0), ("u3", "r2", 0.5, 0.5, 0.0)]


def test_audio_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    recording = make_recording(tmp_path / "audio", "r", path="audio/r.wav")
    (tmp_path / "manifests").mkdir()
    write_cuts(tmp_path / "manifests/cuts_train.jsonl", make_cut(recording, "a"))
    monkeypatch.chdir(tmp_path)
    for source in (tmp_path / "manifests", Path("manifests")):
        (cut,) = read_splits(list_manifests(source))["train"]
        assert cut.recording.sources[0].source == str(tmp_path / "audio/r.wav")


def test_a_cut_without_supervision_gets_an_empty_one(tmp_path):
    write_cuts(
        tmp_path / "cuts_train.jsonl", make_cut(make_recording(tmp_path, "r"), "a", num_supervisions=0)
    )
    (cut,) = read_splits(list_manifests(tmp_path))["train"]
    assert (len(cut.supervisions), cut.supervisions[0].text, cut.supervisions[0].duration) == (1, None, 0.5)


def test_features_and_arrays_of_the_cuts_are_left_behind(tmp_path):
    from lhotse import Features
    from lhotse.array import Array

    cut = make_cut(make_recording(tmp_path, "r"), "a")
    cut.features = Features("x", 50, 80, 0.01, 8000, 0.25, 0.5, "lilcom_chunky", "old.lca", "0,1")
    cut.custom = {"noise": "babble", "embedding": Array("numpy_files", "old", "k", [1])}
    write_cuts(tmp_path / "cuts_train.jsonl", cut)
    (read,) = read_splits(list_manifests(tmp_path))["train"]
    assert (read.features, read.custom) == (None, {"noise": "babble"})


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_a_file_of_estimated_length_stays_whole_in_transforms(tmp_path, kind):
    """Two files joined, of which lhotse knows the first."""
    content = io.BytesIO()
    noise = np.random.default_rng(1).standard_normal(16000).astype("float32") / 10
    soundfile.write(content, noise, 16000, format=kind)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(2 * content.getvalue())
    cut = Recording.from_file(path).to_cut()
    assert cut.num_samples == 16000
    write_cuts(tmp_path / "cuts_train.jsonl.gz", cut)
    (read,) = read_splits(list_manifests(tmp_path))["train"]
    assert read.num_samples == read.recording.num_samples >= 32000
    assert read.supervisions[0].duration == read.duration
    assert decode(read.resample(8000)).shape == (1, read.num_samples // 2)


def test_several_supervisions_in_a_cut_are_refused(tmp_path):
    write_cuts(
        tmp_path / "cuts_train.jsonl", make_cut(make_recording(tmp_path, "r"), "a", num_supervisions=2)
    )
    with pytest.raises(AsrkdError, match="cut 'a' has 2 supervisions, expected one; .*trim-to-supervisions"):
        read_splits(list_manifests(tmp_path))


def test_a_command_in_a_manifest_is_refused_and_not_run(tmp_path):
    recording = make_recording(tmp_path, "r")
    marker = tmp_path / "ran"
    recording.sources = [AudioSource("command", [0], f"touch {marker}")]
    write_cuts(tmp_path / "cuts_train.jsonl", make_cut(recording, "a"))
    with pytest.raises(AsrkdError, match="recording 'r' is a command, expected a file"):
        read_splits(list_manifests(tmp_path))
    assert not marker.exists()


def test_an_id_in_two_splits_is_refused(tmp_path):
    recording = make_recording(tmp_path, "r")
    for split in ("train", "dev"):
        write_cuts(tmp_path / f"cuts_{split}.jsonl", make_cut(recording, "a"))
    with pytest.raises(AsrkdError, match="cuts_train.jsonl: cut 'a' is in .*cuts_dev.jsonl too"):
        read_splits(list_manifests(tmp_path))


@pytest.mark.parametrize(
    ("supervision", "complaint"),
    [
        ('{"id": "u", "recording_id": "x", "start": 0, "duration": 1}', "recording 'x' is not in"),
        (
            '{"id": "u", "recording_id": "r", "start": 0, "duration": 1, "channel": [0, 1]}',
            "channels .*expected one",
        ),
        ('{"id": "u"}', "supervisions_dev.jsonl:1: not a lhotse SupervisionSegment"),
        ('{"id": "u", "recor', "supervisions_dev.jsonl:1: torn or not JSON"),
        ("", "holds no supervisions"),
    ],
)
def test_wrong_supervisions_are_refused(tmp_path, supervision, complaint):
    RecordingSet.from_recordings([make_recording(tmp_path, "r")]).to_file(tmp_path / "recordings_dev.jsonl")
    (tmp_path / "supervisions_dev.jsonl").write_text(supervision + "\n" if supervision else "")
    with pytest.raises(AsrkdError, match=complaint):
        read_splits(list_manifests(tmp_path))


def test_recordings_without_supervisions_are_refused(tmp_path):
    RecordingSet.from_recordings([make_recording(tmp_path, "r")]).to_file(tmp_path / "x_recordings_dev.jsonl")
    with pytest.raises(AsrkdError, match="no x_supervisions_dev.jsonl beside it"):
        list_manifests(tmp_path)


def test_a_folder_without_manifests_is_refused(tmp_path):
    with pytest.raises(AsrkdError, match="no cuts_<split>.jsonl.gz there"):
        list_manifests(tmp_path)


def test_two_manifests_of_one_split_are_refused(tmp_path):
    recording = make_recording(tmp_path, "r")
    write_cuts(tmp_path / "cuts_train.jsonl", make_cut(recording, "a"))
    write_cuts(tmp_path / "cuts_train.jsonl.gz", make_cut(recording, "b"))
    with pytest.raises(AsrkdError, match="two manifests for one split among train, train"):
        list_manifests(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "field", "value", "complaint"),
    [
        ("supervisions", "start", math.nan, "start is nan, expected a finite number"),
        ("supervisions", "start", -1, "start is -1, expected a number greater than or equal to 0"),
        ("supervisions", "duration", math.inf, "duration is inf, expected a finite number"),
        ("supervisions", "text", ["ONE"], r"text is \['ONE'\], expected a string"),
        ("recordings", "num_samples", "8000", "num_samples is '8000', expected a number"),
        ("recordings", "sampling_rate", 0, "sampling_rate is 0, expected a number greater than 0"),
    ],
)
def test_a_wrong_number_is_told_by_its_line(tmp_path, manifest, field, value, complaint):
    recordings = [make_recording(tmp_path, name) for name in ("r1", "r2")]
    supervisions = [SupervisionSegment(f"u-{own.id}", own.id, 0.0, 1.0, text="ONE") for own in recordings]
    RecordingSet.from_recordings(recordings).to_file(tmp_path / "recordings_dev.jsonl")
    SupervisionSet.from_segments(supervisions).to_file(tmp_path / "supervisions_dev.jsonl")
    path = tmp_path / f"{manifest}_dev.jsonl"
    first, second = map(json.loads, path.read_text().splitlines())
    path.write_text(json.dumps(first) + "\n" + json.dumps(second | {field: value}) + "\n")
    with pytest.raises(AsrkdError, match=rf"{manifest}_dev.jsonl:2: not a lhotse \w+: {complaint}"):
        read_splits(list_manifests(tmp_path))
