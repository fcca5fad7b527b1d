"""Counts of errors, against hand-made pairs, rapidfuzz and jiwer."""

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asrkd.core.errors import AsrkdError
from asrkd.scoring.counts import (
    CharacterCounts,
    Counts,
    character_counts,
    corpus_counts,
    count_errors,
    one_spaced,
    score_texts,
)
from asrkd.scoring.edits import levenshtein_edits

TEXTS = st.lists(st.sampled_from(["A", "B", "C", "DD"]), max_size=8).map(" ".join)
CORPORA = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6)


def count_character_errors(reference, hypothesis):
    """Character counts of an utterance with single spaces between words, as those of a normalized score."""
    return character_counts(levenshtein_edits(one_spaced(reference), one_spaced(hypothesis)))


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("THE CAT SAT", "THE CAT SAT", Counts(3, 0, 0, 0)),
        ("THE CAT SAT", "THE HAT SAT", Counts(2, 1, 0, 0)),
        ("THE CAT SAT", "THE SAT", Counts(2, 0, 1, 0)),
        ("THE CAT SAT", "THE CAT SAT DOWN", Counts(3, 0, 0, 1)),
        ("THE CAT SAT ON A MAT", "A CAT SAT A MAT NOW", Counts(4, 1, 1, 1)),
        ("THE CAT", "", Counts(0, 0, 2, 0)),
        ("", "THE CAT", Counts(0, 0, 0, 2)),
        ("", "", Counts(0, 0, 0, 0)),
        ("THE CAT", "the CAT", Counts(1, 1, 0, 0)),
    ],
)
def test_pairs_counted_by_hand(reference, hypothesis, expected):
    assert count_errors(reference, hypothesis) == expected


@pytest.mark.parametrize("spaced", ["  THE   CAT ", "THE\tCAT\n", "THE\u00a0CAT"])
def test_any_whitespace_separates_words(spaced):
    assert count_errors(spaced, "THE CAT") == Counts(2, 0, 0, 0)
    assert count_character_errors("THE CAT", spaced) == CharacterCounts(7, 0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_errors_are_the_levenshtein_distance(reference, hypothesis):
    words, characters = count_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
    assert words.errors == Levenshtein.distance(reference.split(), hypothesis.split())
    assert characters.errors == Levenshtein.distance(reference, hypothesis)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_both_texts_are_accounted_for(reference, hypothesis):
    counts = count_errors(reference, hypothesis)
    assert counts.hits + counts.substitutions + counts.deletions == counts.num_words == len(reference.split())
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis.split())
    assert count_character_errors(reference, hypothesis).num_characters == len(reference)


@settings(max_examples=20, deadline=None)
@given(TEXTS)
def test_a_text_has_no_errors_against_itself(text):
    assert count_errors(text, text).errors == count_character_errors(text, text).errors == 0


@settings(max_examples=25, deadline=None)
@given(CORPORA)
def test_corpus_totals_are_jiwers(pairs):
    references = {str(number): reference for number, (reference, _) in enumerate(pairs)}
    hypotheses = {str(number): hypothesis for number, (_, hypothesis) in enumerate(pairs)}
    total = corpus_counts(score_texts(references, hypotheses).values())
    theirs = jiwer.process_words(list(references.values()), list(hypotheses.values()))
    assert total == Counts(theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions)
    if total.num_words:
        assert total.wer == pytest.approx(theirs.wer)
        characters = corpus_counts(count_character_errors(*pair) for pair in pairs)
        theirs_of_characters = jiwer.cer(list(references.values()), list(hypotheses.values()))
        assert characters.cer == pytest.approx(theirs_of_characters)


@settings(max_examples=25, deadline=None)
@given(CORPORA, st.randoms(use_true_random=False))
def test_the_order_of_utterances_does_not_matter(pairs, random):
    items = [(f"utt{number}", *pair) for number, pair in enumerate(pairs)]
    in_order = score_texts({i: r for i, r, _ in items}, {i: h for i, _, h in items})
    random.shuffle(items)
    references = {i: r for i, r, _ in items}
    random.shuffle(items)
    shuffled = score_texts(references, {i: h for i, _, h in items})
    assert list(shuffled.items()) == list(in_order.items())


def test_corpus_rate_weighs_words_not_utterances():
    total = corpus_counts([Counts(0, 1, 0, 0), Counts(9, 0, 0, 0)])
    assert total.wer == pytest.approx(0.1)


def test_a_rate_can_be_above_one():
    assert count_errors("A", "B C D").wer == pytest.approx(3.0)


@pytest.mark.parametrize("counts", [Counts(0, 0, 0, 2), CharacterCounts(0, 0, 0, 2)])
def test_an_empty_reference_has_counts_but_no_rate(counts):
    with pytest.raises(AsrkdError, match=r"references are empty \(2 insertions\)"):
        _ = counts.error_rate


def test_words_and_characters_do_not_add_up():
    with pytest.raises(TypeError):
        Counts(1, 0, 0, 0) + CharacterCounts(1, 0, 0, 0)


def test_nothing_to_score_is_refused():
    with pytest.raises(AsrkdError, match="no utterances"):
        corpus_counts([])


def test_missing_hypotheses_are_named():
    references = {f"utt{number}": "A" for number in range(5)}
    expected = r"4 references have no hypothesis: 'utt1', 'utt2', 'utt3', \.\.\.;"
    with pytest.raises(AsrkdError, match=expected) as caught:
        score_texts(references, {"utt0": "A"})
    assert "\n" not in str(caught.value)


def test_hypotheses_of_other_utterances_are_named():
    with pytest.raises(AsrkdError, match="1 hypotheses have no reference: 'x';"):
        score_texts({"a": "A"}, {"a": "A", "x": "A"})
