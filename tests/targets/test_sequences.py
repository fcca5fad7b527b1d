"""Token sequences as targets: transcripts and N-best lists, padded, weighted, refused by cut."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lhotse import MonoCut, Recording, SupervisionSegment

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import transcript
from asrkd.data.tokens import Tokens, train_char
from asrkd.targets.sequences import SequenceTargets, collate
from asrkd.targets.sources.nbest import NbestSource, sequence_source
from asrkd.targets.sources.settings import SequenceSettings
from asrkd.targets.sources.text import TranscriptSource
from tests.nbest_lists import nbest, write_nbest_store

TEXTS = ["YES", "NO NO", ""]
HYPOTHESES = [["YES", "NO"], ["NO NO", "NO", "SO NO", "ON"], [""]]


@pytest.fixture
def tokens() -> Tokens:
    return train_char(["YES NO ON SO"])


def make_cut(number: int, *texts: str | None) -> MonoCut:
    recording = Recording(f"r{number}", [], 8000, 8000, 1.0)
    cut = MonoCut(f"cut-{number}", 0, 1, 0, recording=recording)
    cut.supervisions = [
        SupervisionSegment(f"s{i}", f"r{number}", i, 1, 0, text) for i, text in enumerate(texts)
    ]
    return cut


@pytest.fixture
def cuts() -> list[MonoCut]:
    return [make_cut(number, text) for number, text in enumerate(TEXTS)]


@pytest.fixture
def store(tmp_path, cuts) -> Path:
    lists = [nbest(texts, [-float(n) for n, _ in enumerate(texts)]) for texts in HYPOTHESES]
    return write_nbest_store(tmp_path, cuts, lists)


def nbest_source(store: Path, tokens: Tokens, num_hypotheses: int, **settings) -> NbestSource:
    wanted = {"targets": str(store), "num_hypotheses": num_hypotheses} | settings
    return NbestSource(store, tokens, SequenceSettings(**wanted))


def texts_of(targets: SequenceTargets, tokens: Tokens) -> list[tuple[int, str]]:
    """(row of the batch, text) of each sequence."""
    rows = zip(targets.utterance.tolist(), targets.tokens.tolist(), targets.num_tokens.tolist(), strict=True)
    return [(row, tokens.decode(ids[:length])) for row, ids, length in rows]


def test_sequences_are_padded_and_weights_sum_to_one():
    targets = collate([[[1, 2], [3]], [[4, 5, 6]], [[7], [], [8]]])
    assert targets.tokens.tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6], [7, 0, 0], [0, 0, 0], [8, 0, 0]]
    assert targets.num_tokens.tolist() == [2, 1, 3, 1, 0, 1]
    assert targets.utterance.tolist() == [0, 0, 1, 2, 2, 2]
    sums = torch.zeros(3).index_add(0, targets.utterance, targets.weight)
    torch.testing.assert_close(sums, torch.ones(3))
    assert targets.weight.tolist() == pytest.approx([1 / 2, 1 / 2, 1, 1 / 3, 1 / 3, 1 / 3])


def test_a_batch_of_empty_sequences_has_a_width():
    assert collate([[[]], [[]]]).tokens.shape == (2, 1)


def test_transcripts_are_the_supervisions_joined_in_their_order(cuts, tokens):
    assert transcript(make_cut(9, " YES ", "NO")) == "YES NO"
    targets = TranscriptSource(tokens).fetch([cuts[1], cuts[0], cuts[2]])
    assert texts_of(targets, tokens) == [(0, "NO NO"), (1, "YES"), (2, "")]
    assert targets.weight.tolist() == [1, 1, 1]


@pytest.mark.parametrize("texts", [(), (None,), ("YES", None)])
def test_a_cut_without_a_transcript_is_named(tokens, texts):
    with pytest.raises(AsrkdError, match="cut cut-7: has no transcript"):
        TranscriptSource(tokens).verify([make_cut(1, "YES"), make_cut(7, *texts)])


def test_an_unspellable_transcript_names_cut_and_symbol(tokens):
    with pytest.raises(AsrkdError, match=r"cut cut-7: no token spells 'Ä'"):
        TranscriptSource(tokens).verify([make_cut(1, "YES"), make_cut(7, "NÄ")])


@pytest.mark.parametrize("num_hypotheses", [1, 2, 9])
def test_the_best_hypotheses_are_taken_as_many_as_there_are(store, cuts, tokens, num_hypotheses):
    source = nbest_source(store, tokens, num_hypotheses)
    source.verify(cuts)
    batch = [cuts[2], cuts[1], cuts[0]]
    targets = source.fetch(batch)
    expected = [(row, t) for row, n in enumerate((2, 1, 0)) for t in HYPOTHESES[n][:num_hypotheses]]
    assert texts_of(targets, tokens) == expected
    sums = torch.zeros(3).index_add(0, targets.utterance, targets.weight)
    torch.testing.assert_close(sums, torch.ones(3))


def test_hypotheses_take_the_students_tokens_or_are_refused(store, cuts):
    nbest_source(store, train_char(["YES NO"]), 9).verify(cuts)
    poor = train_char(["YES"])
    with pytest.raises(AsrkdError, match="cut cut-0: no token spells 'N'") as error:
        nbest_source(store, poor, 9).verify(cuts)
    assert "\n" not in str(error.value)
    nbest_source(store, poor, 1).verify([cuts[0], cuts[2]])  # what is not used need not be spelled


def test_hypotheses_of_other_audio_or_cuts_are_refused(store, cuts, tokens):
    source = nbest_source(store, tokens, 2)
    with pytest.raises(AsrkdError, match="cut cut-1 were made of other audio"):
        source.verify([cuts[0], replace(cuts[1], duration=0.5)])
    with pytest.raises(AsrkdError, match="no targets for cut cut-9"):
        source.verify([make_cut(9, "YES")])


def test_a_config_names_the_transcript_or_a_store(store, tokens):
    assert isinstance(sequence_source(SequenceSettings(), tokens), TranscriptSource)
    source = sequence_source(SequenceSettings(targets=str(store), num_hypotheses=3), tokens)
    assert isinstance(source, NbestSource)
    assert source.settings.num_hypotheses == 3
    with pytest.raises(AsrkdError, match="nowhere: no such folder"):
        sequence_source(SequenceSettings(targets=str(store / "nowhere")), tokens)


def test_utterances_may_have_no_sequence_and_so_may_a_batch():
    targets = collate([[], [[3], [4, 5]], []], [[], [0.5, 0.1], []])
    assert targets.tokens.tolist() == [[3, 0], [4, 5]]
    assert targets.utterance.tolist() == [1, 1]
    assert targets.weight.tolist() == pytest.approx([0.5, 0.1])
    assert targets.share.tolist() == [0.5, 0.5]
    empty = collate([[], []])
    assert empty.tokens.shape == (0, 1)
    assert empty.num_tokens.dtype == empty.utterance.dtype == torch.int64


def test_transcripts_where_present_leave_out_other_cuts(tokens):
    cuts = [make_cut(1, "YES"), make_cut(2), make_cut(3, "NO", None), make_cut(4, "ON")]
    source = sequence_source(SequenceSettings(cuts="transcribed"), tokens)
    assert texts_of(source.fetch(cuts), tokens) == [(0, "YES"), (3, "ON")]
    assert source.examine(cuts).ids == {"cut-1", "cut-4"}
