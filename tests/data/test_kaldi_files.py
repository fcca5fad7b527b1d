"""Kaldi's rows by its own rule: fields are what C's isspace separates, as bytes.split has it."""

from hypothesis import given
from hypothesis import strategies as st

from asrkd.data.corpora import kaldi
from asrkd.data.kaldi_files import WHITESPACE, read_rows, split_row
from asrkd.scoring.transcripts import read_speakers, read_transcripts

TEXT = st.text(st.sampled_from(" \t\v\f\rab1\u00a0\u3000\u4eca"), max_size=20)
SEPARATORS = st.text(st.sampled_from(" \t"), min_size=1, max_size=4)


@given(TEXT)
def test_fields_are_those_of_bytes_split(line):
    """bytes.split parts at exactly the six ASCII spaces."""
    key, value = split_row(line)
    fields = line.encode().split()
    assert [key, *value.encode().split()] == [fields[0].decode() if fields else "", *fields[1:]]
    assert not set(value) & (set(WHITESPACE) - {" "})


@given(st.lists(SEPARATORS, min_size=3, max_size=3), st.sampled_from(["", " ", "\t", "\r"]))
def test_every_file_of_a_folder_may_be_separated_by_anything(tmp_path_factory, gaps, end):
    folder = tmp_path_factory.mktemp("kaldi") / "train"
    folder.mkdir()
    rows = {
        "wav.scp": ["r", str(folder / "a b.wav")],
        "segments": ["u", "r", "0.5", "1.5"],
        "text": ["u", "ONE", "TWO"],
        "utt2spk": ["u", "s"],
    }
    for name, fields in rows.items():
        line = fields[0] + "".join(gap + field for field, gap in zip(fields[1:], gaps, strict=False))
        (folder / name).write_text(f"\ufeff{line}{end}\n", newline="")
    (item,) = kaldi.list_utterances(folder)
    assert (item.id, item.recording_id, item.start, item.duration) == ("u", "r", 0.5, 1.0)
    assert (item.speaker, item.text.split(), item.audio) == ("s", ["ONE", "TWO"], folder / "a b.wav")
    assert read_speakers(folder / "utt2spk") == {"u": "s"}
    assert read_transcripts(folder / "text").texts["u"].split() == ["ONE", "TWO"]


def test_rows_say_where_they_are(tmp_path):
    path = tmp_path / "text"
    path.write_text("a\n\nb  c\td\n")
    assert [tuple(row) for row in read_rows(path)] == [
        (f"{path}:1", "a", ""),
        (f"{path}:2", "", ""),
        (f"{path}:3", "b", "c d"),
    ]
