"""Errors by place: hand-aligned sentences, and jiwer's counts."""

import jiwer
from hypothesis import given
from hypothesis import strategies as st

from asrkd.evaluation.inheritance.error_places import ErrorPlace, WordError, by_place
from asrkd.scoring.word_alignment import align_words

texts = st.lists(st.sampled_from(["A", "B", "C"]), max_size=7).map(" ".join)


def test_a_sentence_laid_along_its_reference_by_hand():
    laid = by_place(align_words("call nine one now", "call five one one now please"))
    assert laid.words == ("call", "nine", "one", "now")
    assert laid.hypothesis == ("call", "five", "one", "now")
    assert sum(map(len, laid.inserted)) == 2 and laid.inserted[4] == ("please",)
    assert WordError(ErrorPlace(1, False), "five", 0) in laid.errors
    assert WordError(ErrorPlace(4, True), "please", 0) in laid.errors
    assert len(laid.errors) == 3


def test_a_deleted_word_is_heard_as_none_at_its_place():
    assert by_place(align_words("one two three", "one three")).errors == [
        WordError(ErrorPlace(1, False), None, 0)
    ]


def test_the_same_word_inserted_twice_in_one_gap_is_two_errors():
    errors = by_place([("one", "one"), (None, "uh"), (None, "uh")]).errors
    assert errors == [WordError(ErrorPlace(1, True), "uh", 0), WordError(ErrorPlace(1, True), "uh", 1)]


def test_insertions_into_an_empty_reference_share_one_gap():
    laid = by_place(align_words("", "hello there"))
    assert [(error.place, error.hypothesis) for error in laid.errors] == [
        (ErrorPlace(0, True), "hello"),
        (ErrorPlace(0, True), "there"),
    ]
    assert laid.reference_word(ErrorPlace(0, True)) is None


@given(texts, texts)
def test_errors_are_distinct_and_as_many_as_jiwer_counts(reference, hypothesis):
    errors = by_place(align_words(reference, hypothesis)).errors
    counted = jiwer.process_words(reference, hypothesis)
    assert len(errors) == len(set(errors))
    assert len(errors) == counted.substitutions + counted.deletions + counted.insertions
    assert sum(error.place.is_gap for error in errors) == counted.insertions
    assert sum(error.hypothesis is None for error in errors) == counted.deletions


@given(texts, texts)
def test_the_hypothesis_can_be_read_off_again(reference, hypothesis):
    laid = by_place(align_words(reference, hypothesis))
    words = list(laid.inserted[0])
    for heard, behind in zip(laid.hypothesis, laid.inserted[1:], strict=True):
        words += [*([] if heard is None else [heard]), *behind]
    assert words == hypothesis.split()
    assert list(laid.words) == reference.split()
