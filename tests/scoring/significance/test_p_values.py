"""Student's t against closed forms, printed tables and its inverse; Holm's correction by hand."""

import random
from math import atan, pi, sqrt
from statistics import NormalDist

import pytest

from asrkd.scoring.significance.p_values import holm, t_cdf, t_quantile, two_sided_p


@pytest.mark.parametrize("t", [-40.0, -1.0, -0.01, 0.0, 0.3, 2.0, 12.7])
def test_one_and_two_degrees_have_closed_forms(t):
    assert t_cdf(t, 1) == pytest.approx(0.5 + atan(t) / pi, abs=1e-12)
    assert t_cdf(t, 2) == pytest.approx(0.5 + t / (2 * sqrt(2 + t * t)), abs=1e-12)


@pytest.mark.parametrize(
    ("p", "degrees", "printed"),  # of any textbook's table
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 9, 2.262), (0.95, 30, 1.697), (0.995, 5, 4.032)]
    + [(0.8, 10, 0.879), (0.975, 120, 1.980)],
)
def test_quantiles_are_those_of_the_table(p, degrees, printed):
    assert t_quantile(p, degrees) == pytest.approx(printed, abs=0.0005)
    assert t_quantile(1 - p, degrees) == pytest.approx(-printed, abs=0.0005)


@pytest.mark.parametrize("degrees", [0.7, 1.5, 3.3, 39, 1999, 1e5])
def test_the_quantile_inverts_the_distribution(degrees):
    for p in (1e-6, 0.025, 0.2, 0.5, 0.9, 0.999):
        assert t_cdf(t_quantile(p, degrees), degrees) == pytest.approx(p, rel=1e-8)


def test_many_degrees_are_the_normal_distribution():
    for degrees in (9.99e6, 1e7, 1e9):
        assert t_cdf(1.96, degrees) == pytest.approx(NormalDist().cdf(1.96), abs=1e-7)


def test_half_degrees_lie_between_their_neighbors():
    assert t_quantile(0.975, 3) < t_quantile(0.975, 2.5) < t_quantile(0.975, 2)


def test_p_counts_both_sides():
    assert two_sided_p(2.262157, 9) == pytest.approx(0.05, abs=1e-7) == two_sided_p(-2.262157, 9)


@pytest.mark.parametrize(("p", "degrees"), [(0.0, 3), (1.0, 3), (0.3, 0.1)])
def test_what_has_no_quantile_is_refused(p, degrees):
    with pytest.raises(ValueError, match="expected"):
        t_quantile(p, degrees)


def test_holms_correction_is_the_one_worked_by_hand():
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_test_needs_no_correction_and_none_gives_none():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_equal_values_stay_equal_and_at_most_1():
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


def test_holms_correction_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="probabilities"):
        holm([0.2, float("nan")])
