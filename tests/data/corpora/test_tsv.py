"""Tables against rows written by hand."""

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
        ("text", ""),
        (
            "text\tset\tspk",
            "ignored columns: set, spk (did you mean 'speaker'?); "
            "optional columns that it lacks: speaker, split, duration, parts",
        ),
        (
            "text\tspeakers\tsplt\tnotes",
            "ignored columns: speakers (did you mean 'speaker'?), splt (did you mean 'split'?), notes; "
            "optional columns that it lacks: speaker, split, duration, parts",
        ),
        ("text\tspeaker\tsplit\tduration\tparts\tnotes", "ignored columns: notes"),
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
