"""Whose an output folder is: new, to be gone on with, complete, or not to be touched."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core import output_folder
from asrkd.core.errors import AsrkdError
from asrkd.core.output_folder import State, claim, first_difference

RECORD = {"search": {"beam": 8, "sizes": [1, 2]}, "teacher": "abc"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


def test_a_folder_is_new_then_partial_then_complete(tmp_path):
    out = tmp_path / "deep" / "out"
    assert output_folder.survey(out, "r.json", RECORD) is State.NEW
    assert not out.exists()
    assert claim(out, "r.json", RECORD) is State.NEW
    assert claim(out, "r.json", RECORD) is State.PARTIAL
    output_folder.stamp(out, {"cuts": 3})
    assert claim(out, "r.json", RECORD) is State.COMPLETE
    assert output_folder.read_stamp(out, "asrkd x") == {"cuts": 3}


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({**RECORD, "teacher": "abd"}, "teacher was 'abc', is now 'abd'"),
        ({**RECORD, "search": {"beam": 4, "sizes": [1, 3]}}, "search.beam was 8, is now 4"),
        ({**RECORD, "search": {"beam": 8, "sizes": [1, 3]}}, "search.sizes.1 was 2, is now 3"),
        ({**RECORD, "more": 1}, "more was not set, is now 1"),
        ({"search": RECORD["search"]}, "teacher was 'abc', is now not set"),
    ],
)
def test_another_record_is_refused_by_its_first_difference(tmp_path, asked, complaint):
    claim(tmp_path / "out", "r.json", RECORD)
    before = (tmp_path / "out/r.json").read_bytes()
    with pytest.raises(AsrkdError) as error:
        claim(tmp_path / "out", "r.json", asked)
    assert complaint in str(error.value)
    assert f"rm -r {tmp_path / 'out'}" in str(error.value)
    assert (tmp_path / "out/r.json").read_bytes() == before


def test_a_folder_of_another_kind_is_not_one_to_remove(tmp_path):
    claim(tmp_path / "out", "r.json", RECORD | {"kind": "hidden", "dim": 64})
    with pytest.raises(AsrkdError, match="out: holds 'hidden', expected 'posterior' or nothing") as error:
        claim(tmp_path / "out", "r.json", RECORD | {"kind": "posterior"})
    assert "rm -r" not in str(error.value)


@settings(max_examples=50, deadline=None)
@given(json_values, json_values)
def test_there_is_a_difference_exactly_between_unequal_records(found, asked):
    difference = first_difference({"record": found}, {"record": asked})
    assert (difference is None) == (found == asked)
    assert difference is None or difference.startswith("record")


def test_a_long_value_is_shortened_in_the_message():
    difference = first_difference({"a": "x" * 5000}, {"a": "y" * 5000})
    assert difference is not None and len(difference) < 200


def test_contents_that_changed_are_told_by_their_hashes():
    difference = first_difference({"listing": "1a" * 32}, {"listing": "2b" * 32})
    assert difference == "listing has changed (sha256 was 1a1a1a1a1a1a, is now 2b2b2b2b2b2b)"
    named = first_difference({"x": 1, "y": {"x": 1}}, {"x": 1, "y": {"x": 2}}, names={"x": "a", "y": "the y"})
    assert named == "the y.x was 1, is now 2"


def test_what_is_not_ours_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("three years")
    with pytest.raises(AsrkdError, match="holds 'thesis.tex' but no r.json"):
        claim(tmp_path, "r.json", RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(AsrkdError, match="is a file, expected a folder"):
        claim(tmp_path / "thesis.tex", "r.json", RECORD)


def test_empty_folders_and_those_with_leftovers_are_new(tmp_path):
    (tmp_path / "r.json.0123abcd.partial").write_text("{")
    assert claim(tmp_path, "r.json", RECORD) is State.NEW


def test_a_torn_record_is_named(tmp_path):
    (tmp_path / "r.json").write_text('{"teach')
    with pytest.raises(AsrkdError, match=r"r\.json: torn or not JSON"):
        claim(tmp_path, "r.json", RECORD)


@pytest.mark.parametrize(
    ("stamp", "complaint"),
    [
        (None, "unfinished .no stamp.json.; finish it with: asrkd make"),
        ("{", "stamp.json: torn or not JSON"),
        ("[1]", "stamp.json: not a stamp of this command"),
    ],
)
def test_an_unfinished_folder_names_its_command(tmp_path, stamp, complaint):
    with pytest.raises(AsrkdError, match="nowhere: no such folder; make it with: asrkd make"):
        output_folder.read_stamp(Path("nowhere"), "asrkd make")
    if stamp is not None:
        (tmp_path / "stamp.json").write_text(stamp)
    with pytest.raises(AsrkdError, match=complaint):
        output_folder.read_stamp(tmp_path, "asrkd make")
