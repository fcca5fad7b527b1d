"""The result in a line and as a record."""

import re

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.scoring.counts import Counts
from asrkd.scoring.score_corpus import CorpusScore, ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import summary, wer_line

REFERENCES = {"utt2": "A B C D", "utt1": "A B", "utt3": ""}
HYPOTHESES = {"utt1": "A X", "utt2": "A X C", "utt3": "UH"}


def test_the_line_is_as_kaldi_prints_it():
    counts = Counts(hits=51593, substitutions=879, deletions=104, insertions=92)
    assert wer_line(counts) == "%WER 2.04 [ 1075 / 52576, 92 ins, 104 del, 879 sub ]"


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_the_numbers_of_the_line_agree_with_each_other(hits, substitutions, deletions, insertions):
    line = wer_line(Counts(hits, substitutions, deletions, insertions))
    rate, *numbers = re.findall(r"[\d.]+", line)
    errors, num_words, inserted, deleted, substituted = map(int, numbers)
    assert errors == inserted + deleted + substituted
    assert num_words == hits + substitutions + deletions
    assert float(rate) == pytest.approx(100 * errors / num_words, abs=0.00501)


def test_a_line_without_reference_words_is_refused():
    with pytest.raises(AsrkdError, match="references are empty"):
        wer_line(Counts(0, 0, 0, 3))


def scored(references=REFERENCES, hypotheses=HYPOTHESES) -> CorpusScore:
    utterances = [
        ReferenceUtterance(utt_id, reference, f"tape-{utt_id}", "bob" if utt_id < "utt3" else None)
        for utt_id, reference in references.items()
    ]
    return score_utterances(utterances, hypotheses, Rules())


def test_a_small_summary_by_hand():
    record = summary(scored())
    assert record["wer"] == pytest.approx(4 / 6)
    assert record["cer"] == pytest.approx((1 + 3 + 2) / (3 + 7))
    assert record["num_utterances"] == 3
    assert record["counts"] == {
        "hits": 3, "substitutions": 2, "deletions": 1, "insertions": 1, "reference_length": 6
    }  # fmt: skip
    assert record["character_counts"] == {
        "hits": 6, "substitutions": 2, "deletions": 2, "insertions": 2, "reference_length": 10
    }  # fmt: skip
    bob = {"hits": 3, "substitutions": 2, "deletions": 1, "insertions": 0, "reference_length": 6}
    nobody = {"hits": 0, "substitutions": 0, "deletions": 0, "insertions": 1, "reference_length": 0}
    assert record["speakers"] == [
        {"speaker": "bob", "num_utterances": 2, "counts": bob},
        {"speaker": "tape-utt3", "num_utterances": 1, "counts": nobody},
    ]
    assert record["alignment"] == "levenshtein"
    assert record["normalizer"]["name"] == "none"


def test_rates_are_jiwers():
    record = summary(scored())
    ids = sorted(REFERENCES)
    pairs = [REFERENCES[i] for i in ids], [HYPOTHESES[i] for i in ids]
    assert record["wer"] == pytest.approx(jiwer.wer(*pairs))
    assert record["cer"] == pytest.approx(jiwer.cer(*pairs))


def test_the_same_texts_in_any_order_are_the_same_bytes(tmp_path):
    files.write_json(tmp_path / "one.json", summary(scored()))
    in_order = scored(dict(sorted(REFERENCES.items())))
    files.write_json(tmp_path / "two.json", summary(in_order))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_different_utterances_are_refused():
    with pytest.raises(AsrkdError, match="no hypothesis: 'utt3'"):
        scored(REFERENCES, {"utt1": "A", "utt2": "B"})
