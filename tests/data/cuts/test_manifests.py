"""Cut manifests: what is written is read, paths travel, and a wrong line is named."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lhotse import AudioSource, CutSet, Features, MonoCut, NumpyFilesWriter, Recording, SupervisionSegment

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.records import cut_digest, cut_identity


def make_cut(cut_id: str = "a", **changes: object) -> MonoCut:
    source = AudioSource("file", [0], "audio/a.wav")
    cut = MonoCut(cut_id, 0.25, 1.5, 0, recording=Recording("rec", [source], 8000, 16000, 2.0))
    cut.supervisions = [SupervisionSegment("s", "rec", 0.0, 1.5, 0, "YES")]
    cut.custom = {"audio_sha256": "0" * 64}
    return replace(cut, **changes)


def lines(*cuts: MonoCut) -> list[str]:
    return [json.dumps(cut.to_dict()) for cut in cuts]


def test_cuts_come_back_as_lhotse_reads_them(tmp_path):
    path = tmp_path / "cuts.jsonl.gz"
    absolute = Recording("rec", [AudioSource("file", [0], "/far/a.wav")], 8000, 16000, 2.0)
    cuts = [make_cut("a", recording=absolute), make_cut("b", recording=absolute, custom={"x": [1, 2]})]
    assert write_cuts(path, cuts) == 2
    assert list(read_cuts(path)) == cuts == list(CutSet.from_file(path))


def test_equal_cuts_are_equal_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_cuts(tmp_path / name, [make_cut("a"), make_cut("b")])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_paths_are_relative_to_the_manifests_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    writer = NumpyFilesWriter(old / "features")
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    key = writer.write("a", values)
    stored = Features("fbank", 4, 3, 0.01, 8000, 0.25, 1.5, writer.name, "features", key, "rec", 0)
    write_cuts(old / "cuts.jsonl", [make_cut(features=stored)])
    shutil.move(str(old), str(new))
    (cut,) = read_cuts(new / "cuts.jsonl")
    assert cut.recording.sources[0].source == str(new / "audio/a.wav")
    assert Path(cut.features.storage_path) == new / "features"
    np.testing.assert_array_equal(cut.features.load(), values)


def test_absolute_paths_stay(tmp_path):
    recording = Recording("rec", [AudioSource("file", [0], "/far/a.wav")], 8000, 16000, 2.0)
    write_cuts(tmp_path / "cuts.jsonl", [make_cut(recording=recording)])
    assert read_cuts(tmp_path / "cuts.jsonl")[0].recording.sources[0].source == "/far/a.wav"


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("{", r"cuts.jsonl:2: torn or not JSON"),
        ('{"id": "b"}', r"cuts.jsonl:2: not a lhotse cut"),
        ('{"id": "b", "type": "MonoCut", "start": 0}', r"cuts.jsonl:2: not a lhotse cut"),
        (
            json.dumps(make_cut("b").append(make_cut("c")).to_dict()),
            r"cuts.jsonl:2: not a lhotse cut: expected a MonoCut, found MixedCut",
        ),
    ],
)
def test_a_line_that_is_no_cut_is_named_by_its_number(tmp_path, bad, complaint):
    path = tmp_path / "cuts.jsonl"
    path.write_text("\n".join([*lines(make_cut("a")), bad]) + "\n")
    with pytest.raises(AsrkdError, match=complaint) as error:
        read_cuts(path)
    assert "\n" not in str(error.value)


def test_a_recording_manifest_is_not_taken_for_cuts(tmp_path):
    path = tmp_path / "recordings.jsonl"
    path.write_text(json.dumps(make_cut().recording.to_dict()) + "\n")
    with pytest.raises(
        AsrkdError, match="recordings.jsonl:1: not a lhotse cut: expected a MonoCut, found some"
    ):
        read_cuts(path)


def test_duplicate_ids_and_empty_manifests_are_refused(tmp_path):
    write_cuts(tmp_path / "twice.jsonl", [make_cut("a"), make_cut("b"), make_cut("a")])
    with pytest.raises(AsrkdError, match=r"twice.jsonl:3: duplicate cut id 'a'"):
        read_cuts(tmp_path / "twice.jsonl")
    write_cuts(tmp_path / "none.jsonl", [])
    with pytest.raises(AsrkdError, match=r"none.jsonl: holds no cuts"):
        read_cuts(tmp_path / "none.jsonl")


def test_a_torn_manifest_is_refused_and_not_read_as_a_short_one(tmp_path):
    path = tmp_path / "cuts.jsonl.gz"
    whole = gzip.compress("\n".join(lines(*(make_cut(f"c{n}") for n in range(50)))).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AsrkdError, match=r"cuts.jsonl.gz"):
        read_cuts(path)


def other_recording(**changes: object) -> Recording:
    return replace(make_cut().recording, **changes)


@pytest.mark.parametrize(
    "other",
    [
        make_cut("b"),
        make_cut(start=0.2501),
        make_cut(duration=1.4999),
        make_cut(channel=1),
        make_cut(recording=other_recording(id="rec2")),
        make_cut(recording=other_recording(sampling_rate=16000, num_samples=32000)),
        make_cut(custom={"audio_sha256": "1" * 64}),
        make_cut(custom=None),
        make_cut().perturb_speed(1.1),
        make_cut().perturb_volume(2.0),
        make_cut().resample(16000),
    ],
)
def test_another_sound_has_another_digest(other):
    assert cut_digest(other) != cut_digest(make_cut())


def test_what_does_not_sound_does_not_count(tmp_path):
    """Text, features, place on disk, and a round trip through JSON leave the digest alone."""
    moved = make_cut(recording=other_recording(sources=[AudioSource("file", [0], "/elsewhere/a.wav")]))
    assert cut_digest(moved) == cut_digest(make_cut())
    assert cut_digest(make_cut(supervisions=[])) == cut_digest(make_cut())
    perturbed = make_cut().perturb_speed(0.9)
    write_cuts(tmp_path / "cuts.jsonl", [perturbed])
    assert cut_digest(read_cuts(tmp_path / "cuts.jsonl")[0]) == cut_digest(perturbed)


def test_the_identity_is_what_can_be_written_down():
    assert json.loads(json.dumps(cut_identity(make_cut()))) == {
        "id": "a", "recording": "rec", "sampling_rate": 8000, "num_samples": 12000, "channel": 0,
        "start": 0.25, "duration": 1.5, "transforms": [], "audio_sha256": "0" * 64,
    }  # fmt: skip
