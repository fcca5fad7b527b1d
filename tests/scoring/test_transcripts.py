"""Transcripts read from the three forms, and the line of a file that is wrong."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.scoring.transcript_files import trn_lines, write_kaldi_text
from asrkd.scoring.transcripts import read_speakers, read_transcripts

TEXTS = {"ann-1": "THE CAT", "ann-2": "", "bob-1": "IT'S É 猫"}
FORMS = {
    "text": "ann-1 THE CAT\nann-2\nbob-1 IT'S É 猫\n",
    "x.trn": ";; a comment\nTHE CAT (ann-1)\n(ann-2)\nIT'S É 猫 (bob-1)\n",
    "x.jsonl": "".join(json.dumps({"id": i, "text": t, "log_prob": -1.5}) + "\n" for i, t in TEXTS.items()),
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_told_by_its_suffix_or_its_contents(tmp_path, name, named, suffix):
    path = tmp_path / ((name if named else "transcripts") + suffix)
    contents = FORMS[name] if named else FORMS[name].removeprefix(";; a comment\n")
    path.write_bytes(gzip.compress(contents.encode()) if suffix else contents.encode())
    found = read_transcripts(path)
    assert found.texts == TEXTS
    assert found.speakers == ({"ann-1": "ann", "ann-2": "ann", "bob-1": "bob"} if name == "x.trn" else {})


def test_crlf_blank_lines_and_byte_order_marks_are_allowed(tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbf" + FORMS["text"].replace("\n", "\r\n\r\n").encode())
    assert read_transcripts(tmp_path / "text").texts == TEXTS


def test_a_text_of_kaldi_may_end_in_brackets(tmp_path):
    (tmp_path / "text").write_text("a well (laughter)\n")
    assert read_transcripts(tmp_path / "text").texts == {"a": "well (laughter)"}
    (tmp_path / "hyp").write_text("a well (laughter)\nb so\n")
    assert read_transcripts(tmp_path / "hyp").texts == {"a": "well (laughter)", "b": "so"}


@pytest.mark.parametrize(
    ("label", "speaker"), [("a-b-c", "a"), ("a_b", "a"), ("a_b-c", "a_b"), ("a-b_c", "a"), ("abc", None)]
)
def test_the_speaker_of_a_trn_is_the_one_that_sclite_finds(tmp_path, label, speaker):
    """Its own answers, by `sctk sclite -i spu_id`; to the last it has none."""
    (tmp_path / "x.trn").write_text(f"words ({label})\n")
    assert read_transcripts(tmp_path / "x.trn").speakers.get(label) == speaker


WORDS = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"], exclude_characters="{}()*@;"), min_size=1)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"s-[a-z0-9]{1,6}", fullmatch=True), st.lists(WORDS).map(" ".join), min_size=1
    )
)
def test_what_was_written_is_read(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("transcripts")
    expected = {utt_id: text.split() for utt_id, text in texts.items()}
    write_kaldi_text(folder / "text", texts)
    files.write_lines(folder / "x.trn", trn_lines(texts, dict.fromkeys(texts, "s")))
    for name in ("text", "x.trn"):
        found = read_transcripts(folder / name).texts
        assert {utt_id: text.split() for utt_id, text in found.items()} == expected


@pytest.mark.parametrize(
    ("name", "contents", "complaint"),
    [
        ("text", b"", "text: no transcripts; expected Kaldi's text"),
        ("text", b"a x\nb y\na z\n", "text:3: duplicate utterance id 'a', also in line 1; remove it"),
        ("text", b"a x\nb caf\xe9\n", "text:2: not UTF-8 .*; convert it, as with iconv"),
        ("x.trn", b"x (a-1)\ny\n", "x.trn:2: expected words and .speaker-utterance. .* found 'y'"),
        ("x.trn", b"x (a 1)\n", "x.trn:1: expected words and .speaker-utterance."),
        ("x.trn", b"x { a / b } (a-1)\n", "x.trn:1: sclite's { a / b } and @ are not supported here"),
        ("x.trn", b"x @ (a-1)\n", "x.trn:1: sclite's { a / b } and @ are not supported here"),
        ("x.jsonl", b'{"id": "a", "text": "x"}\n{"id"\n', "x.jsonl:2: torn or not JSON"),
        ("x.jsonl", b'{"id": "a"}\n', 'x.jsonl:1: expected {"id": "...", "text": "..."}, found'),
        ("x.jsonl", b'{"id": 3, "text": "x"}\n', "x.jsonl:1: expected"),
        ("x.jsonl", b'["a", "x"]\n', "x.jsonl:1: expected"),
        ("x.jsonl", b'{"id": "a", "text": "\\ud83d"}\n', "x.jsonl:1: .*a lone surrogate"),
        ("x.jsonl.gz", b"no gzip", "x.jsonl.gz: cannot be read after line 0"),
        (
            "x.trn.gz",
            gzip.compress(b"x (a-1)\n" * 2, mtime=0),
            "x.trn.gz:2: duplicate utterance id 'a-1', also in line 1",
        ),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(tmp_path, name, contents, complaint):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(AsrkdError, match=complaint) as error:
        read_transcripts(tmp_path / name)
    assert "\n" not in str(error.value)


def test_no_file_is_a_line(tmp_path):
    with pytest.raises(AsrkdError, match="nowhere: no such file"):
        read_transcripts(tmp_path / "nowhere")


def test_speakers_of_kaldis_utt2spk(tmp_path):
    path = tmp_path / "utt2spk"
    path.write_text("a ann\n\nb bob\n\n")
    assert read_speakers(path) == {"a": "ann", "b": "bob"}
    for contents, complaint in (
        ("a ann\nb\n", ":2: expected an utterance"),
        ("a x\na y\n", ":2: duplicate utterance id 'a'"),
    ):
        path.write_text(contents)
        with pytest.raises(AsrkdError, match=f"utt2spk{complaint}"):
            read_speakers(path)
