"""The LibriSpeech tree against lhotse's recipe, where the corpus is there, and a tree made by hand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse.recipes import prepare_librispeech

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora import librispeech

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "LibriSpeech"
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"needs {CORPUS}; unpack https://www.openslr.org/12 there"
)


def add(root: Path, subset: str, speaker: str, texts: list[str]) -> None:
    chapter = root / subset / speaker / "7"
    chapter.mkdir(parents=True)
    ids = [f"{speaker}-7-{index:04d}" for index in range(len(texts))]
    for utt_id in ids:
        soundfile.write(chapter / f"{utt_id}.flac", np.zeros(1600, dtype="float32"), 16000)
    lines = [f"{utt_id} {text}\n" for utt_id, text in zip(ids, texts, strict=True)]
    (chapter / f"{speaker}-7.trans.txt").write_text("".join(lines))


def test_subsets_become_splits(tmp_path):
    add(tmp_path, "train-clean-100", "1", ["ONE TWO", "THREE"])
    add(tmp_path, "train-other-500", "2", ["FOUR"])
    add(tmp_path, "dev-clean", "3", ["FIVE"])
    add(tmp_path, "test-other", "4", ["SIX"])
    rows = [(item.id, item.split, item.speaker, item.text) for item in librispeech.list_utterances(tmp_path)]
    assert rows == [
        ("1-7-0000", "train", "1", "ONE TWO"),
        ("1-7-0001", "train", "1", "THREE"),
        ("2-7-0000", "train", "2", "FOUR"),
        ("3-7-0000", "dev", "3", "FIVE"),
        ("4-7-0000", "test_other", "4", "SIX"),
    ]


def test_only_the_subsets_asked_for_are_taken(tmp_path):
    add(tmp_path / "LibriSpeech", "train-clean-100", "1", ["ONE"])
    add(tmp_path / "LibriSpeech", "dev-clean", "3", ["FIVE"])
    assert [item.id for item in librispeech.list_utterances(tmp_path, ["dev-clean"])] == ["3-7-0000"]
    with pytest.raises(AsrkdError, match="no subset 'test-clean', found train-clean-100, dev-clean"):
        librispeech.list_utterances(tmp_path, ["test-clean"])


def test_audio_without_a_transcript_gets_an_empty_one(tmp_path):
    add(tmp_path, "dev-clean", "3", ["FIVE"])
    soundfile.write(tmp_path / "dev-clean/3/7/3-7-0009.flac", np.zeros(1600, dtype="float32"), 16000)
    assert [(i.id, i.text) for i in librispeech.list_utterances(tmp_path)] == [
        ("3-7-0000", "FIVE"),
        ("3-7-0009", ""),
    ]


def test_a_line_that_comes_twice_is_refused(tmp_path):
    add(tmp_path, "dev-clean", "3", ["FIVE"])
    with (tmp_path / "dev-clean/3/7/3-7.trans.txt").open("a") as stream:
        stream.write("3-7-0000 SIX\n")
    with pytest.raises(AsrkdError, match="3-7.trans.txt:2: duplicate or empty utterance id '3-7-0000'"):
        librispeech.list_utterances(tmp_path)


def test_a_folder_that_is_not_librispeech_is_refused(tmp_path):
    with pytest.raises(AsrkdError, match="holds none of train-clean-5"):
        librispeech.list_utterances(tmp_path)


@needs_corpus
def test_the_real_tree_is_read_as_lhotse_reads_it():
    ours = {item.id: item for item in librispeech.list_utterances(CORPUS, ["dev-clean"])}
    theirs = prepare_librispeech(CORPUS, dataset_parts=["dev-clean"])["dev-clean"]["supervisions"]
    assert ours.keys() == {item.id for item in theirs}
    for item in theirs:
        assert (ours[item.id].text, ours[item.id].speaker) == (item.text, item.speaker)
