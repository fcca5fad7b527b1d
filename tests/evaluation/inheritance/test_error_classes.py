"""Classes of errors: a sentence by hand, a brute-force reading of the table, and sums that must come out."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrkd.evaluation.inheritance import error_classes as module
from asrkd.evaluation.inheritance.error_classes import ErrorClass, ErrorClassCounts, classify_errors
from asrkd.evaluation.inheritance.error_places import by_place
from asrkd.scoring.word_alignment import align_words

words = st.sampled_from(["A", "B", "C"])
texts = st.lists(words, max_size=6).map(" ".join)
utterances = st.lists(st.tuples(texts, texts, texts, texts), min_size=1, max_size=4)


def errors(reference, hypothesis):
    return by_place(align_words(reference, hypothesis)).errors


def of(reference, teacher, baseline, student):
    return classify_errors(
        errors(reference, teacher), errors(reference, baseline), errors(reference, student)
    )


def test_a_sentence_whose_every_word_has_another_class():
    found = of(
        #  shared inherited kept changed new corrected replaced shed avoided
        "a b c d e f g h i",
        "X X c d e f Y X X",
        "X b X Y e X X X i",
        "X X X X X f Y h i",
    )
    by_word = {"abcdefghi"[error.place.position]: name for error, name in found.student.items()}
    assert by_word == {
        "a": ErrorClass.SHARED, "b": ErrorClass.INHERITED, "c": ErrorClass.KEPT,
        "d": ErrorClass.CHANGED, "e": ErrorClass.NEW, "g": ErrorClass.INHERITED,
    }  # fmt: skip
    by_word = {"abcdefghi"[error.place.position]: name for error, name in found.baseline.items()}
    assert by_word == {
        "a": ErrorClass.SHARED, "c": ErrorClass.KEPT, "d": ErrorClass.REPLACED,
        "f": ErrorClass.CORRECTED, "g": ErrorClass.REPLACED, "h": ErrorClass.CORRECTED,
    }  # fmt: skip
    by_word = {"abcdefghi"[error.place.position]: name for error, name in found.teacher.items()}
    assert by_word == {
        "a": ErrorClass.SHARED, "b": ErrorClass.INHERITED, "g": ErrorClass.INHERITED,
        "h": ErrorClass.SHED, "i": ErrorClass.AVOIDED,
    }  # fmt: skip


def test_a_deletion_is_inherited_only_by_deleting_the_same_word():
    assert list(of("a b", "a", "a b", "a").student.values()) == [ErrorClass.INHERITED]
    assert list(of("a b", "a", "a b", "b").student.values()) == [ErrorClass.NEW]


def test_insertions_are_equal_errors_only_in_the_same_gap():
    assert list(of("a b", "uh a b", "a b", "uh a b").student.values()) == [ErrorClass.INHERITED]
    assert list(of("a b", "uh a b", "a b", "a b uh").student.values()) == [ErrorClass.NEW]


def test_of_a_word_inserted_twice_only_one_is_the_teachers():
    assert Counter(of("a", "a uh", "a", "a uh uh").student.values()) == {
        ErrorClass.INHERITED: 1,
        ErrorClass.NEW: 1,
    }


def test_a_student_equal_to_its_teacher_inherits_all_errors():
    found = of("a b c", "x b y", "a b y", "x b y")
    assert set(found.student.values()) == {ErrorClass.INHERITED, ErrorClass.SHARED}
    assert found.student == found.teacher


# The table of the module, each row as (teacher, baseline, student) answering at one word: 0 is right.
BY_HAND = {
    (1, 1, 1): ("shared", "shared", "shared"),
    (1, 0, 1): ("inherited", None, "inherited"),
    (1, 2, 1): ("inherited", "replaced", "inherited"),
    (0, 1, 1): (None, "kept", "kept"),
    (2, 1, 1): ("avoided", "kept", "kept"),
    (0, 0, 1): (None, None, "new"),
    (2, 0, 1): ("avoided", None, "new"),
    (0, 2, 1): (None, "replaced", "changed"),
    (3, 2, 1): ("avoided", "replaced", "changed"),
    (2, 2, 1): ("shed", "replaced", "changed"),
    (0, 1, 0): (None, "corrected", None),
    (2, 1, 0): ("avoided", "corrected", None),
    (1, 1, 0): ("shed", "corrected", None),
    (1, 0, 0): ("avoided", None, None),
    (0, 0, 0): (None, None, None),
}


def canonical(answers):
    """The wrong answers renumbered, student first: only which are equal matters."""
    names = {0: 0}
    for answer in reversed(answers):
        names.setdefault(answer, len(names))
    return tuple(names[answer] for answer in answers)


@pytest.mark.parametrize("answers", list(product(range(4), repeat=3)), ids=str)
def test_the_table_has_every_combination_at_one_word(answers):
    heard = ["said", "one", "two", "three"]
    found = of("said", *(heard[answer] for answer in answers))
    by_hand = {canonical(key): value for key, value in BY_HAND.items()}[canonical(answers)]
    shown = [list(one.values()) for one in (found.teacher, found.baseline, found.student)]
    assert shown == [[] if name is None else [name] for name in by_hand]


@given(utterances)
def test_error_classes_add_up_to_each_systems_errors(found):
    total = ErrorClassCounts()
    for texts in found:
        total.add(of(*texts))
    counted = [sum(len(errors(row[0], row[system])) for row in found) for system in (1, 2, 3)]
    assert sum(total.teacher[name] for name in module.TEACHER) == counted[0]
    assert sum(total.baseline[name] for name in module.BASELINE) == counted[1]
    assert sum(total.student[name] for name in module.STUDENT) == counted[2]
    assert (
        total.teacher[ErrorClass.SHARED]
        == total.baseline[ErrorClass.SHARED]
        == total.student[ErrorClass.SHARED]
    )
    assert total.teacher[ErrorClass.INHERITED] == total.student[ErrorClass.INHERITED]
    assert total.baseline[ErrorClass.KEPT] == total.student[ErrorClass.KEPT]


@given(st.tuples(texts, texts, texts, texts))
def test_inherited_is_what_a_comparison_of_all_pairs_finds(row):
    reference, *heard = row
    teacher, baseline, student = (errors(reference, text) for text in heard)
    expected = sum(any(a == b for b in teacher) and all(a != c for c in baseline) for a in student)
    assert Counter(of(*row).student.values())[ErrorClass.INHERITED] == expected
