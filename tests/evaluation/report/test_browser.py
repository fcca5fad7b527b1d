"""Which utterances are shown: by the definition, and fairly."""

from hypothesis import given
from hypothesis import strategies as st

from asrkd.evaluation.report.browser import half_and_half, instructive, shuffled

errors = st.dictionaries(st.text(max_size=3), st.tuples(*[st.integers(0, 9)] * 3), max_size=30)


def test_rows_sort_by_difference_then_errors_then_id():
    found = instructive({"a": [1, 1], "b": [0, 3], "c": [5, 5], "e": [2, 5], "d": [2, 5]})
    assert found == ["d", "e", "b", "c", "a"]


@given(errors)
def test_any_prefix_is_half_worst_and_half_random(counted):
    both = half_and_half(counted)
    assert sorted(both) == sorted(counted)
    for size in range(1, len(counted) + 1):
        # Those that are in both orders count once, so the part reaches at least halfway into each.
        assert set(instructive(counted)[: (size + 1) // 2]) <= set(both[:size])
        assert set(shuffled(list(counted))[: size // 2]) <= set(both[:size])


@given(st.sets(st.text(max_size=4)))
def test_the_random_order_does_not_depend_on_that_of_the_input(ids):
    assert shuffled(sorted(ids)) == shuffled(sorted(ids, reverse=True))
