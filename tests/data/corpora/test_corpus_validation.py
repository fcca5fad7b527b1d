"""Transcripts, sampling rates, shares and speakers, counted by hand."""

import json
from pathlib import Path

import pytest
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource

from asrkd.core.errors import QuarantineError
from asrkd.data.corpora import validation
from asrkd.data.corpora.validation import Quarantined
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.tokens import train_char


def cut(cut_id: str, text: str | None = "ONE", speaker: str | None = "s", rate: int = 8000) -> MonoCut:
    recording = Recording(cut_id, [AudioSource("file", [0], f"{cut_id}.wav")], rate, rate, 1.0)
    supervision = SupervisionSegment(cut_id, cut_id, 0.0, 1.0, text=text, speaker=speaker)
    return MonoCut(cut_id, 0.0, 1.0, 0, supervisions=[supervision], recording=recording)


@pytest.mark.parametrize("text", ["ONE", "it's", "7", "¿qué?", "日本", "می‌خواهم", " padded "])
def test_a_transcript_that_can_be_spoken_is_fine(text):
    assert validation.transcript_fault(text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty transcript"),
        (None, "empty transcript"),
        ("  ", "empty transcript"),
        ("...", "no letter or digit in the transcript '...'"),
        ("ONE\tTWO", "control character U\\+0009"),
        ("ONE\x00", "control character U\\+0000"),
        ("\ud800", "control character U\\+D800"),
    ],
)
def test_a_transcript_that_cannot_be_spoken_is_not(text, fault):
    import re

    assert re.match(fault, validation.transcript_fault(text))


@pytest.mark.parametrize(
    ("text", "fine"), [("", True), (None, True), ("--", False), ("\x07", False), ("A", True)]
)
def test_untranscribed_allows_only_missing_transcripts(text, fine):
    assert (validation.transcript_fault(text, untranscribed=True) is None) is fine


def test_bad_transcripts_are_set_aside_with_their_file():
    splits = {"train": PackedCuts([cut("a"), cut("b", "")]), "dev": PackedCuts([cut("c", "!")])}
    good, bad = validation.screen_transcripts(splits, untranscribed=False)
    assert {split: [c.id for c in cuts] for split, cuts in good.items()} == {"train": ["a"], "dev": []}
    assert [(item.id, item.split, item.path) for item in bad] == [
        ("b", "train", "b.wav"),
        ("c", "dev", "c.wav"),
    ]


def test_given_tokens_must_spell_the_training_transcripts():
    tokens = train_char(["ONE"])
    good, bad = validation.screen_spelling(
        {"train": PackedCuts([cut("a"), cut("b", "TWO")]), "dev": PackedCuts([cut("c", "TWO")])}, tokens
    )
    assert [c.id for c in good["dev"]] == ["c"]
    assert [(item.id, item.cause[:20]) for item in bad] == [("b", "no token spells 'T' ")]
    (warning,) = validation.spelling_warnings(good, tokens)
    assert warning.startswith("1 transcript of dev cannot be spelled: no token spells 'T'")


def test_the_sampling_rate_of_most_is_that_of_the_corpus():
    splits = {"train": PackedCuts([cut("a"), cut("b", rate=16000)]), "dev": PackedCuts([cut("c")])}
    good, bad, rate = validation.screen_sampling_rates(splits)
    assert rate == 8000
    assert [c.id for cuts in good.values() for c in cuts] == ["a", "c"]
    assert [(item.id, item.cause[:21]) for item in bad] == [("b", "sampling rate 16000 H")]


def test_of_equally_frequent_rates_the_higher_one_is_taken():
    assert validation.screen_sampling_rates({"x": PackedCuts([cut("a"), cut("b", rate=16000)])})[2] == 16000
    assert validation.screen_sampling_rates({"x": PackedCuts([cut("b", rate=16000), cut("a")])})[2] == 16000


@pytest.mark.parametrize(
    ("num_bad", "max_bad", "fine"), [(0, 0, True), (1, 0.001, True), (2, 0.001, False), (1000, 1, False)]
)
def test_the_share_of_bad_items_is_held_to(tmp_path, num_bad, max_bad, fine):
    bad = [Quarantined(f"u{index}", "train", "torn", f"u{index}.wav") for index in range(num_bad)]
    if fine:
        validation.check_share(bad, 1000, max_bad, tmp_path / "q")
        return
    with pytest.raises(
        QuarantineError, match=rf"{num_bad} of 1000 items are bad.* u0 \(u0.wav\): torn"
    ) as caught:
        validation.check_share(bad, 1000, max_bad, tmp_path / "q")
    assert caught.value.exit_status == 3


def test_the_list_is_json_lines_and_empty_where_nothing_is_bad(tmp_path):
    validation.write_quarantine(tmp_path / "q", [Quarantined("u", "dev", "torn", "u.wav")])
    assert json.loads((tmp_path / "q").read_text()) == {
        "id": "u",
        "split": "dev",
        "cause": "torn",
        "path": "u.wav",
    }
    validation.write_quarantine(tmp_path / "q", [])
    assert (tmp_path / "q").read_text() == ""


def test_speakers_in_two_splits_are_named():
    train = PackedCuts([cut("a", speaker="ann"), cut("b", speaker="bob"), cut("c", speaker=None)])
    splits = {
        "train": train,
        "dev": PackedCuts([cut("d", speaker="bob"), cut("e", speaker=None)]),
        "test": PackedCuts([cut("f", speaker="eve")]),
    }
    assert validation.shared_speakers(splits) == ["1 speaker of dev is also in train: bob"]


def test_a_corpus_is_the_same_however_its_place_is_written(tmp_path, monkeypatch):
    from asrkd.data.corpora.corpus import open_corpus

    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"as long as this")
    (folder / "transcripts.tsv").write_text("utt_id\taudio\tspeaker\ttext\tsplit\na\ta.wav\ts\tYES\ttrain\n")
    monkeypatch.chdir(folder)
    places = [folder, Path("."), Path("../corpus"), tmp_path / "x" / ".." / "corpus"]
    (tmp_path / "x").mkdir()
    opened = [open_corpus("tsv", place) for place in places]
    assert len({corpus.digest for corpus in opened}) == 1
    assert {utterance.audio for corpus in opened for utterance in corpus.utterances} == {folder / "a.wav"}
