"""Student's t against its closed forms, printed tables and its own inverse."""

from math import atan, pi, sqrt
from statistics import NormalDist

import pytest

from asrkd.scoring.significance.student_t import t_cdf, t_quantile, two_sided_p


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
