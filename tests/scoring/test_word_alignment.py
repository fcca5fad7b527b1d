"""Aligned words and their inline notation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asrkd.scoring.word_alignment import align_words, inline

TEXTS = st.lists(st.sampled_from(["A", "B", "C", "DD"]), max_size=8).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_the_pairs_hold_both_texts_in_order(reference, hypothesis):
    pairs = align_words(reference, hypothesis)
    assert [said for said, _ in pairs if said is not None] == reference.split()
    assert [heard for _, heard in pairs if heard is not None] == hypothesis.split()
    assert (None, None) not in pairs


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_as_many_pairs_differ_as_there_are_errors(reference, hypothesis):
    wrong = sum(said != heard for said, heard in align_words(reference, hypothesis))
    assert wrong == Levenshtein.distance(reference.split(), hypothesis.split())


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("OF EDISON ILLUMINATING", "OF ADDISON ILLUMINATING", "OF (EDISON->ADDISON) ILLUMINATING"),
        ("FIRST DAY SIR I THINK", "FIRST DAY I THINK", "FIRST DAY (SIR->*) I THINK"),
        ("I THINK", "I DO THINK", "I (*->DO) THINK"),
        ("A B C", "X Y C", "(A B->X Y) C"),
        ("A B C", "A X", "A (B C->X)"),
        ("A", "", "(A->*)"),
        ("", "A B", "(*->A B)"),
        ("", "", ""),
        (" A  B ", "A B", "A B"),
    ],
)
def test_errors_stand_in_brackets_in_their_place(reference, hypothesis, expected):
    assert inline(align_words(reference, hypothesis)) == expected


def test_a_correct_word_separates_two_brackets():
    assert inline([("A", "X"), ("B", "B"), ("C", None), (None, "Y")]) == "(A->X) B (C->Y)"
