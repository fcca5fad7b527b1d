"""Files of references and hypotheses, read back."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.scoring.transcript_files import trn_lines, write_kaldi_text, write_recogs

REFERENCES = {"b-2": "THE CAT'S  MAT", "a-1": "ONE TWO", "c-3": ""}
HYPOTHESES = {"a-1": "ONE", "b-2": "THE CATS MAT", "c-3": "UH"}
SPEAKERS = {"a-1": "ann", "b-2": "bob", "c-3": "cy"}


def read_recogs(text: str) -> dict[str, dict[str, list[str]]]:
    """By utterance id, the lists called ref and hyp."""
    read: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        utt_id, field = line.split(":\t")
        name, words = field.split("=", 1)
        read.setdefault(utt_id, {})[name] = ast.literal_eval(words)
    return read


def test_recogs_have_two_lines_an_utterance_by_id(tmp_path):
    write_recogs(tmp_path / "recogs-test.txt", REFERENCES, HYPOTHESES)
    assert (tmp_path / "recogs-test.txt").read_text().splitlines() == [
        "a-1:\tref=['ONE', 'TWO']",
        "a-1:\thyp=['ONE']",
        "b-2:\tref=['THE', \"CAT'S\", 'MAT']",
        "b-2:\thyp=['THE', 'CATS', 'MAT']",
        "c-3:\tref=[]",
        "c-3:\thyp=['UH']",
    ]


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True), st.tuples(st.text(), st.text())))
def test_recogs_come_back_as_they_were(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("recogs") / "recogs-test.txt"
    write_recogs(path, {i: r for i, (r, _) in texts.items()}, {i: h for i, (_, h) in texts.items()})
    expected = {i: {"ref": r.split(), "hyp": h.split()} for i, (r, h) in texts.items()}
    assert read_recogs(path.read_text(encoding="utf-8")) == expected


def test_the_order_of_arguments_leaves_no_trace(tmp_path):
    write_recogs(tmp_path / "one.txt", REFERENCES, HYPOTHESES)
    write_recogs(tmp_path / "two.txt", dict(sorted(REFERENCES.items())), dict(reversed(HYPOTHESES.items())))
    assert (tmp_path / "one.txt").read_bytes() == (tmp_path / "two.txt").read_bytes()


def test_recogs_of_other_utterances_are_refused(tmp_path):
    with pytest.raises(AsrkdError, match="no hypothesis: 'c-3'"):
        write_recogs(tmp_path / "recogs.txt", REFERENCES, {"a-1": "", "b-2": ""})
    assert not list(tmp_path.iterdir())


def test_trn_ends_in_speaker_and_utterance():
    assert trn_lines(REFERENCES, SPEAKERS) == ["ONE TWO (ann-a-1)", "THE CAT'S MAT (bob-b-2)", "(cy-c-3)"]


def test_ids_that_begin_with_their_speaker_stay_in_a_trn():
    found = trn_lines({"84-1-0": "ONE", "84-1-1": ""}, {"84-1-0": "84", "84-1-1": "84"})
    assert found == ["ONE (84-1-0)", "(84-1-1)"]
    found = trn_lines({"84-1": "ONE", "85-1": "TWO"}, {"84-1": "84", "85-1": "86"})
    assert found == ["ONE (84-84-1)", "TWO (86-85-1)"]


def test_an_at_sign_within_a_word_is_no_harm():
    assert trn_lines({"a": "me@home"}, {"a": "s"}) == ["me@home (s-a)"]


def test_kaldis_text_has_an_id_and_words_a_line(tmp_path):
    write_kaldi_text(tmp_path / "text", REFERENCES)
    assert (tmp_path / "text").read_text() == "a-1 ONE TWO\nb-2 THE CAT'S MAT\nc-3\n"
    with pytest.raises(AsrkdError, match="cut 'a b': Kaldi's text needs ids without spaces"):
        write_kaldi_text(tmp_path / "other", {"a b": "ONE"})


@pytest.mark.parametrize("word", ["{", "(%HES)", "A*", ";;", "@"])
def test_words_that_sclite_takes_for_something_else_are_refused(word):
    with pytest.raises(AsrkdError, match="cut 'b': .* is not a word in sclite") as caught:
        trn_lines({"a": "FINE", "b": f"ONE {word}"}, {"a": "s", "b": "s"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("utt_id", ["two words", "a(1)"])
def test_ids_that_sclite_cannot_read_are_refused(utt_id):
    with pytest.raises(AsrkdError, match="sclite cannot read"):
        trn_lines({utt_id: "A"}, {utt_id: "s"})


def test_an_utterance_without_a_speaker_is_refused():
    with pytest.raises(AsrkdError, match="cut 'a': has no speaker"):
        trn_lines({"a": "A"}, {})
