"""Holm's correction worked by hand, and what it promises."""

import random

import pytest

from asrkd.scoring.significance.holm import holm


def test_it_is_the_one_worked_by_hand():
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_test_needs_no_correction_and_none_gives_none():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_equal_values_are_equal_afterwards_and_nothing_is_above_1():
    assert holm([0.02, 0.02, 0.9]) == pytest.approx([0.06, 0.06, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_rejections_are_those_of_the_procedure_step_by_step():
    rng = random.Random(2)
    for _ in range(200):
        values = [rng.random() ** 4 for _ in range(rng.randint(1, 6))]
        rejected, order = set(), sorted(range(len(values)), key=values.__getitem__)
        for step, index in enumerate(order):
            if values[index] > 0.05 / (len(values) - step):
                break
            rejected.add(index)
        assert {index for index, p in enumerate(holm(values)) if p <= 0.05} == rejected


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="probabilities"):
        holm([0.2, float("nan")])
