"""Tables against rows written by hand."""

import re
from pathlib import Path

import pytest

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora import tsv
from asrkd.data.corpora.utterances import check_utterances, listing_digest

HEADER = "utt_id\taudio\tspeaker\ttext\tsplit\tnotes\n"


def write(folder: Path, content: str, name: str = "transcripts.tsv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_a_line_is_an_utterance_and_other_columns_are_ignored(tmp_path):
    write(tmp_path, HEADER + "a\tx/a.wav\tann\tONE TWO\ttrain\tloud\n\nb\t/far/b.wav\t\tTWO\tdev\t\n")
    first, second = tsv.list_utterances(tmp_path)
    assert (first.id, first.audio, first.split) == ("a", tmp_path / "x/a.wav", "train")
    assert (first.speaker, first.text, first.duration) == ("ann", "ONE TWO", None)
    assert (second.audio, second.speaker) == (Path("/far/b.wav"), None)
    assert second.where == f"{tmp_path / 'transcripts.tsv'}:4"


@pytest.mark.parametrize(
    ("name", "split"), [("train.tsv", "train"), ("dev2.tsv", "dev"), ("mine.tsv", "test")]
)
def test_without_a_split_column_the_file_names_the_split(tmp_path, name, split):
    path = write(tmp_path, "utt_id\taudio\ttext\na\ta.wav\tONE\n", name)
    assert [item.split for item in tsv.list_utterances(path)] == [split]


@pytest.mark.parametrize(
    ("columns", "warning"),
    [
        ("text\tspeaker\tsplit\tduration\tparts", ""),
        (
            "text\tsegment",
            "ignored columns: segment (did you mean 'segments'?); "
            "optional columns that it lacks: speaker, split, duration, parts, segments",
        ),
        ("text", ""),
        (
            "text\tset\tspk",
            "ignored columns: set, spk (did you mean 'speaker'?); "
            "optional columns that it lacks: speaker, split, duration, parts, segments",
        ),
        (
            "text\tspeakers\tsplt\tnotes",
            "ignored columns: speakers (did you mean 'speaker'?), splt (did you mean 'split'?), notes; "
            "optional columns that it lacks: speaker, split, duration, parts, segments",
        ),
        (
            "text\tspeaker\tsplit\tduration\tparts\tnotes",
            "ignored columns: notes; optional columns that it lacks: segments",
        ),
    ],
)
def test_ignored_columns_are_a_warning(tmp_path, capsys, columns, warning):
    fields = "\t".join("1" for _ in columns.split("\t"))
    path = write(tmp_path, f"utt_id\taudio\t{columns}\n" + f"a\ta.wav\t{fields}\nb\tb.wav\t{fields}\n")
    assert len(tsv.list_utterances(path)) == 2
    assert capsys.readouterr().err == (f"asrkd: {path}: {warning}\n" if warning else "")


def test_parts_are_the_recordings_that_an_utterance_was_joined_from(tmp_path):
    table = "utt_id\taudio\tparts\na\ta.wav\t{}\nb\tb.wav\t\n"
    write(tmp_path, table.format("x, y,x"))
    joined, whole = tsv.list_utterances(tmp_path)
    assert (joined.parts, whole.parts) == (("x", "y", "x"), ())
    digest = listing_digest([joined, whole], tmp_path)
    write(tmp_path, table.format("x,y"))
    assert listing_digest(tsv.list_utterances(tmp_path), tmp_path) != digest
    write(tmp_path, table.format(""))
    empty = listing_digest(tsv.list_utterances(tmp_path), tmp_path)
    write(tmp_path, "utt_id\taudio\na\ta.wav\nb\tb.wav\n")
    assert listing_digest(tsv.list_utterances(tmp_path), tmp_path) == empty


def test_a_table_without_transcripts_is_refused_where_they_are_needed(tmp_path, capsys):
    path = write(tmp_path, "utt_id\taudio\ttranscript\na\ta.wav\tONE\n")
    with pytest.raises(
        AsrkdError, match=r"tsv: has no column text \(its columns: utt_id, audio, transcript\)"
    ):
        tsv.list_utterances(path, needs_text=True)
    assert "ignored columns: transcript;" in capsys.readouterr().err
    assert [item.text for item in tsv.list_utterances(path)] == [""]


def test_the_table_may_begin_with_a_byte_order_mark(tmp_path):
    write(tmp_path, "\ufeffutt_id\taudio\tduration\r\na\ta.wav\t1.25\r\n")
    assert tsv.list_utterances(tmp_path)[0].duration == 1.25


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "transcripts.tsv: empty"),
        ("utt_id,audio\na,b\n", "transcripts.tsv:1: no column 'utt_id', found utt_id,audio"),
        ("utt_id\ttext\na\tb\n", "transcripts.tsv:1: no column 'audio'"),
        (HEADER + "a\tb.wav\tONE\n", "transcripts.tsv:2: 3 tab-separated fields, the header has 6"),
        (HEADER + "\ta.wav\ts\tONE\ttrain\t\n", "transcripts.tsv:2: utt_id is empty"),
        (HEADER + "a\ta.wav\ts\tONE\t\t\n", "transcripts.tsv:2: split is empty"),
        (
            "utt_id\taudio\tparts\na\ta.wav\tx,,y\n",
            "transcripts.tsv:2: parts 'x,,y': expected ids of recordings",
        ),
        ("utt_id\taudio\tparts\na\ta.wav\tx,\n", "transcripts.tsv:2: parts 'x,': expected"),
        ("utt_id\taudio\tduration\na\ta.wav\tlong\n", "transcripts.tsv:2: duration 'long': expected seconds"),
    ],
)
def test_a_wrong_table_is_refused_by_line(tmp_path, content, complaint):
    write(tmp_path, content)
    with pytest.raises(AsrkdError, match=complaint):
        tsv.list_utterances(tmp_path)


def test_an_absent_table_is_named(tmp_path):
    with pytest.raises(AsrkdError, match="transcripts.tsv: no such file"):
        tsv.list_utterances(tmp_path)


def test_an_id_that_comes_twice_is_refused_with_both_lines(tmp_path):
    path = write(tmp_path, HEADER + "a\ta.wav\ts\tONE\ttrain\t\n" + "a\tb.wav\ts\tTWO\tdev\t\n")
    with pytest.raises(AsrkdError, match=f"{path}:3: duplicate utterance id 'a', first at {path}:2"):
        check_utterances(tsv.list_utterances(tmp_path), tmp_path)


@pytest.mark.parametrize("split", ["../x", "a/b", ".hidden", "a b"])
def test_a_split_that_cannot_be_a_files_name_is_refused(tmp_path, split):
    write(tmp_path, HEADER + f"a\ta.wav\ts\tONE\t{split}\t\n")
    with pytest.raises(AsrkdError, match="transcripts.tsv:2: split .*expected letters"):
        check_utterances(tsv.list_utterances(tmp_path), tmp_path)


def test_a_table_of_only_a_header_is_refused(tmp_path):
    write(tmp_path, HEADER)
    with pytest.raises(AsrkdError, match="holds no utterances"):
        check_utterances(tsv.list_utterances(tmp_path), tmp_path)


def test_the_digest_covers_the_list_and_the_audio_sizes(tmp_path):
    row = "a\ta.wav\ts\tONE\ttrain\t\n"
    (tmp_path / "a.wav").write_bytes(b"12")
    write(tmp_path, HEADER + row)
    digests = {
        listing_digest(tsv.list_utterances(tmp_path), tmp_path),
        listing_digest(tsv.list_utterances(tmp_path), tmp_path),
    }
    assert len(digests) == 1
    for edited in (row.replace("ONE", "TWO"), row.replace("\ts\t", "\tt\t"), row.replace("train", "dev")):
        write(tmp_path, HEADER + edited)
        digests.add(listing_digest(tsv.list_utterances(tmp_path), tmp_path))
    write(tmp_path, HEADER + row)
    (tmp_path / "a.wav").write_bytes(b"123")
    digests.add(listing_digest(tsv.list_utterances(tmp_path), tmp_path))
    assert len(digests) == 5


SEGMENTED = "utt_id\taudio\ttext\tsegments\n"


def test_segments_are_the_times_of_the_words(tmp_path):
    write(tmp_path, SEGMENTED + "a\ta.wav\tSIX OH\t0.199-0.664, 0.7-1\nb\tb.wav\tONE\t\nc\tc.wav\t\t0-1\n")
    first, *others = tsv.list_utterances(tmp_path)
    assert first.word_times == ((0.199, 0.664), (0.7, 1.0))
    assert [each.word_times for each in others] == [(), ()]


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ("0.1-0.2", "1 segments, but the text has 2 words; expected one for each word"),
        ("0.1-0.2,0.2-0.3,0.4-0.5", "3 segments, but the text has 2 words"),
        ("0.1-0.2,", "segments: '': expected start-end in seconds"),
        ("0.1-0.2,x", "segments: 'x': expected start-end in seconds, such as 0.199-0.664"),
        ("0.1-0.2,nan-inf", "segments: 'nan-inf': expected start-end"),
        ("0.1-0.2,1e3-1e4", "expected start-end"),
        ("-0.1-0.2,0.3-0.4", "expected start-end"),
        ("0.1-0.2,0.4-0.3", "segments: '0.4-0.3': ends before it starts"),
        ("0.3-0.4,0.1-0.5", "segments: '0.1-0.5': starts before the word before it"),
    ],
)
def test_wrong_segments_are_an_error_with_their_line(tmp_path, segments, message):
    path = write(tmp_path, SEGMENTED + f"a\ta.wav\tSIX OH\t0-1,1-2\nb\tb.wav\tSIX OH\t{segments}\n")
    with pytest.raises(AsrkdError, match="^" + re.escape(f"{path}:3: ") + ".*" + re.escape(message)):
        tsv.list_utterances(path)


def test_segments_are_part_of_the_digest_which_older_folders_have_without(tmp_path):
    rows = [f"a\ta.wav\tSIX OH\t{times}\n" for times in ("", "0-1,1-2", "0-1,1-3")]
    listings = [tsv.list_utterances(write(tmp_path, SEGMENTED + row)) for row in rows]
    without, *digests = (listing_digest(listing, tmp_path) for listing in listings)
    assert len({without, *digests}) == 3
    assert [listing_digest(each, tmp_path, with_word_times=False) for each in listings] == [without] * 3
