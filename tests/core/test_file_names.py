"""Ids and names as file names: every one can be a file, no two are one, and a short plain one stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.commands.score_transcripts import TranscriptsRequest, score_transcripts
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.file_names import hashed_names, shortened
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.utterances import CorpusUtterance, check_utterances
from asrkd.scoring.score_folder import read_score

PLAIN = "abcXYZ019._-"
IDS = st.text(st.sampled_from(PLAIN), min_size=1) | st.text(min_size=1, max_size=200)


@settings(max_examples=60, deadline=None)
@given(st.sets(IDS | st.sampled_from(["a", "A", "a.npy", "A.npy", "..", "a/b", "今" * 90]), max_size=20))
def test_every_id_has_a_name_of_its_own_that_a_file_can_have(tmp_path_factory, ids):
    folder = tmp_path_factory.mktemp("names")
    hashed = hashed_names(ids, ".npy")
    names = {own: hashed.get(own, own) for own in ids}
    written = {name if name.endswith(".npy") else name + ".npy" for name in names.values()}  # as lhotse does
    assert len({name.lower() for name in written}) == len(ids)
    for name in written:
        files.write_lines(folder / name, ["x"])
    assert {path.name for path in folder.rglob("*")} == written


@given(st.text(st.sampled_from(PLAIN), min_size=1, max_size=150))
def test_a_plain_id_stays_as_it_is(own):
    assert bool(hashed_names([own], ".npy")) == (own[0] in "._-" or own.lower().endswith(".npy"))


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_only_long_names_are_shortened_and_keep_their_prefix(name):
    short = shortened(name, 40)
    assert len(short.encode()) <= 40
    assert short == name if len(name.encode()) <= 40 else name.startswith(short[:-9])
    assert shortened(name + "a" * 41, 40) != shortened(name + "b" * 41, 40)


def test_a_file_with_the_longest_possible_name_is_written(tmp_path):
    for name in ("x" * 255, "今" * 85):
        files.write_json(tmp_path / name, {"a": 1})
        assert files.read_json(tmp_path / name) == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 2


def test_transcripts_whose_name_is_long_are_scored(tmp_path):
    for name, words in (("今" * 80 + ".ref", "u1 a b\n"), ("hyp", "u1 a c\n")):
        (tmp_path / name).write_text(words)
    request = TranscriptsRequest(tmp_path / ("今" * 80 + ".ref"), tmp_path / "hyp", tmp_path / "out")
    score_transcripts(request, StopRequest())
    assert read_score(tmp_path / "out").set_name == "今" * 80
    assert len(list((tmp_path / "out").glob("recogs-今*.txt"))) == 1


def test_a_split_that_cannot_be_a_file_name_is_refused(tmp_path):
    line = CorpusUtterance("u", tmp_path / "a.wav", "今" * 51, "table.tsv:2")
    with pytest.raises(AsrkdError, match=r"^table.tsv:2: split .*more than 150 bytes; shorten it$"):
        check_utterances([line], tmp_path)
