"""Recordings of cuts, against manifests written by hand."""

from dataclasses import replace

import pytest
from lhotse import MonoCut

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.shared_recordings import recordings_of, sharing, utterance_of
from tests.conftest import make_cuts


def manifest_of(folder, *custom):
    """A manifest of a cut for each custom field ``parts``; None: it has none."""
    cuts = make_cuts(folder, "train", len(custom))
    for cut, parts in zip(cuts, custom, strict=True):
        cut.custom = {"audio_sha256": "0"} | ({} if parts is None else {"parts": parts})
    write_cuts(folder / "cuts.jsonl.gz", cuts)
    return folder / "cuts.jsonl.gz"


def test_parts_stand_in_the_place_of_the_recording(tmp_path):
    path = manifest_of(tmp_path, None, ["a", "b", "a"], ["train-000"])
    cuts = read_cuts(path)
    assert recordings_of(cuts, path) == [{"train-000"}, {"a", "b"}, {"train-000"}]
    assert sharing(cuts, path, {"train-000", "c"}) == {"train-000", "train-002"}
    assert cuts[1].parts == ["a", "b", "a"]


def test_copies_at_other_speeds_are_of_the_same_recordings(tmp_path):
    plain, joined = make_cuts(tmp_path, "train", 2)
    joined.custom = {"parts": ["a", "b"]}
    copies = [replace(cut, features=None).perturb_speed(0.9) for cut in (plain, joined)]
    assert [copy.id for copy in copies] == ["train-000_sp0.9", "train-001_sp0.9"]
    write_cuts(tmp_path / "cuts.jsonl.gz", copies)
    cuts = read_cuts(tmp_path / "cuts.jsonl.gz")
    assert recordings_of(cuts, tmp_path) == [{"train-000"}, {"a", "b"}]
    assert [utterance_of(cut.id) for cut in cuts.records] == ["train-000", "train-001"]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ("a,b", "cuts.jsonl.gz: cut 'train-000': parts is 'a,b', expected a list"),
        ([1], "parts.0 is 1, expected a string"),
        ([""], "parts.0 is '', "),
        ([], "cut 'train-000': parts is empty, expected the ids of recordings"),
    ],
)
def test_parts_that_are_no_list_of_ids_are_refused(tmp_path, parts, complaint):
    path = manifest_of(tmp_path, parts)
    with pytest.raises(AsrkdError, match=complaint):
        recordings_of(read_cuts(path), path)


def test_a_cut_without_any_recording_is_refused(tmp_path):
    (cut,) = make_cuts(tmp_path, "train", 1)
    features = replace(cut.features, recording_id=None)
    write_cuts(tmp_path / "cuts.jsonl.gz", [MonoCut("x", 0.0, cut.duration, 0, features=features)])
    with pytest.raises(AsrkdError, match="cut 'x' has neither a recording nor parts"):
        recordings_of(read_cuts(tmp_path / "cuts.jsonl.gz"), tmp_path / "cuts.jsonl.gz")
