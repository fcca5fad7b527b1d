"""Confusion pairs: counted by hand, and passed on by the definition."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from asrkd.evaluation.inheritance.error_places import (
    Confusion,
    InheritedConfusion,
    by_place,
    confusions,
    inherited_confusions,
)
from asrkd.scoring.word_alignment import align_words


def counted(*pairs):
    return confusions(by_place(align_words(reference, hypothesis)) for reference, hypothesis in pairs)


def test_confusions_of_three_sentences_by_hand():
    assert counted(("nine nine", "five nine"), ("nine", "five"), ("a", "a b"), ("c d", "c")) == {
        Confusion("nine", "five"): 2,
        Confusion(None, "b"): 1,
        Confusion("d", None): 1,
    }


def test_only_confusions_above_the_baseline_are_inherited():
    teacher = {
        Confusion("a", "b"): 3,
        Confusion("c", "d"): 1,
        Confusion("e", None): 2,
        Confusion("f", "g"): 9,
    }
    baseline = {Confusion("a", "b"): 1, Confusion("c", "d"): 2, Confusion("f", "g"): 4}
    student = {
        Confusion("a", "b"): 5,
        Confusion("c", "d"): 2,
        Confusion("e", None): 1,
        Confusion("x", "y"): 7,
    }
    assert inherited_confusions(teacher, baseline, student) == [
        InheritedConfusion(Confusion("a", "b"), 3, 1, 5),
        InheritedConfusion(Confusion("e", None), 2, 0, 1),
    ]


pairs = st.builds(Confusion, st.sampled_from(["a", "b", None]), st.sampled_from(["a", "c", None]))
counts = st.dictionaries(pairs, st.integers(1, 4)).map(Counter)


@given(counts, counts, counts)
def test_the_list_is_complete_and_sorted_for_any_input_order(teacher, baseline, student):
    found = inherited_confusions(teacher, baseline, student)
    more = [one.student - one.baseline for one in found]
    assert more == sorted(more, reverse=True) and all(gain > 0 for gain in more)
    assert {one.confusion for one in found} == {
        pair for pair in set(teacher) & set(student) if student[pair] > baseline[pair]
    }
    assert found == inherited_confusions(dict(reversed(teacher.items())), baseline, student)
