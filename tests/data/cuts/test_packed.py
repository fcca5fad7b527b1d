"""A packed list of cuts against the list itself."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts import packed
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.packed import LINES_PER_BLOCK, CutsById, PackedCuts
from asrkd.data.cuts.records import cut_record, cuts_digest, records


def make_cut(number: int, text: str = "ONE") -> MonoCut:
    recording = Recording(f"r{number}", [AudioSource("file", [0], f"{number}.wav")], 8000, 8000, 1.0)
    said = SupervisionSegment(
        f"c{number}", f"r{number}", 0.0, 1.0, text=text, speaker="s", custom={"snr": 3.5}
    )
    return MonoCut(
        f"c{number}", 0.0, 1.0, 0, [said], recording=recording, custom={"audio_sha256": str(number)}
    )


CUTS = [
    make_cut(number, "ÉIN\u2028 Ü\n" if number % 7 == 0 else "ONE")
    for number in range(2 * LINES_PER_BLOCK + 5)
]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(CUTS)), st.integers(-len(CUTS) - 3, len(CUTS) + 3), st.integers(-3, len(CUTS) + 3))
def test_length_items_slices_and_iteration_are_a_lists(count, start, stop):
    plain, packed = CUTS[:count], PackedCuts(CUTS[:count])
    assert len(packed) == count
    assert list(packed) == plain
    assert list(packed[start:stop]) == plain[start:stop]
    assert packed[start:stop].records == [cut_record(cut) for cut in plain[start:stop]]
    for row in {0, count - 1, count // 2, -1} if count else ():
        assert packed[row] == plain[row]
    with pytest.raises(IndexError):
        packed[count]


def test_a_list_grows_in_either_way():
    packed = PackedCuts(CUTS[:3])
    packed.append(CUTS[3])
    packed.extend(PackedCuts(CUTS[4:90]))
    assert list(packed) == CUTS[:90]


def test_those_that_are_wanted_stay_in_their_order():
    packed = PackedCuts(CUTS)
    some = packed.where(lambda cut: cut.id.endswith("3"))
    assert list(some) == [cut for cut in CUTS if cut.id.endswith("3")]
    assert packed.where(lambda _: True) is packed


def test_cuts_reach_another_process_with_resolved_paths():
    packed = PackedCuts(CUTS[:50], folder=Path("/data"))
    assert packed[3].recording.sources[0].source == "/data/3.wav"
    arrived = pickle.loads(pickle.dumps(packed[1:45]))
    assert [cut.recording.sources[0].source for cut in arrived] == [f"/data/{n}.wav" for n in range(1, 45)]
    assert len(pickle.dumps(packed)) < 10_000 + sum(len(pickle.dumps(cut_record(cut))) for cut in CUTS[:50])


def test_a_list_that_is_written_elsewhere_names_the_same_files(tmp_path):
    packed = PackedCuts(CUTS[:50], folder=Path("/data"))
    write_cuts(tmp_path / "cuts.jsonl", packed[3:5])
    assert list(read_cuts(tmp_path / "cuts.jsonl")) == list(packed[3:5])
    with pytest.raises(ValueError, match="paths from /data, expected None"):
        PackedCuts().extend(packed)


def test_a_list_has_the_digest_of_its_cuts():
    assert cuts_digest(PackedCuts(CUTS)) == cuts_digest(CUTS)
    assert records(PackedCuts(CUTS)) == records(CUTS)


def test_few_cuts_stay_as_objects(monkeypatch):
    monkeypatch.setattr(packed, "CACHE_SIZE", 4)
    cuts = PackedCuts(CUTS)
    assert [cuts[row] for row in range(len(CUTS))] == CUTS
    assert len(cuts._cache) == 4
    assert cuts[3] == CUTS[3]


def test_cuts_are_found_by_id_in_the_order_of_the_list():
    by_id = CutsById(PackedCuts(CUTS))
    assert list(by_id) == [cut.id for cut in CUTS]
    assert by_id["c17"] == CUTS[17]
    assert len(by_id) == len(CUTS)
    assert "c1000" not in by_id


def test_a_line_that_is_not_a_cut_is_named_when_read():
    packed = PackedCuts(CUTS[:2])
    packed.append_line('{"id": "x", "type": "MonoCut"}', cut_record(CUTS[2])._replace(id="x"))
    with pytest.raises(AsrkdError, match="cut x: not a lhotse cut"):
        list(packed)
