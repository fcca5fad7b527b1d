"""The ratio's interval against Fieller's quadratic, identities, and shares that are known."""

from math import sqrt
from statistics import mean

import numpy as np
import pytest

from asrkd.scoring.significance.bootstrap import expanded_percentile, resample
from asrkd.scoring.significance.contrast import ContrastTerm, fieller


def term(weight: float, errors: object, seeds: tuple[int, ...] = (1,)) -> ContrastTerm:
    return ContrastTerm(weight, np.atleast_2d(np.array(errors, float)), seeds)


def test_it_is_fiellers_quadratic_for_equal_blocks():
    """The r with (x - r y)^2 = t^2 (vx - 2 r vxy + r^2 vy), means and their variances over four blocks."""
    x, y, words = np.array([3.0, 5.0, 2.0, 6.0]), np.array([8.0, 9.0, 7.0, 12.0]), np.full(4, 10.0)
    t, n = 3.182446, 4
    covariance = np.cov(x, y) / n
    a = mean(y) ** 2 - t**2 * covariance[1, 1]
    b = -2 * (mean(x) * mean(y) - t**2 * covariance[0, 1])
    c = mean(x) ** 2 - t**2 * covariance[0, 0]
    ends = [(-b + sign * sqrt(b * b - 4 * a * c)) / (2 * a) for sign in (-1, 1)]
    found = fieller([term(1, x)], [term(1, y)], words)
    assert (found.low, found.high) == pytest.approx(tuple(ends), rel=1e-5)


def test_a_denominator_that_may_be_zero_gives_no_interval():
    x, y, words = [3.0, 5.0, 2.0, 6.0], [-8.0, 9.0, 7.0, -6.0], np.full(4, 10.0)
    assert fieller([term(1, x)], [term(1, y)], words) is None


def test_seeds_widen_it():
    rng = np.random.default_rng(2)
    words = np.full(12, 50.0)
    teacher, baseline = rng.poisson(5, size=(1, 12)), rng.poisson(20, size=(3, 12))
    student = rng.poisson(14, size=(3, 12)) + np.array([[-4], [0], [4]])

    def interval(count: int) -> float:
        seeds = tuple(range(count))
        base = baseline[:count].astype(float)
        gap = [ContrastTerm(1.0, base, seeds), term(-1, teacher)]
        found = fieller(
            [ContrastTerm(1.0, base, seeds), ContrastTerm(-1.0, student[:count].astype(float), seeds)],
            gap,
            words,
        )
        return found.high - found.low

    same = np.tile([[14.0]], (3, 12)) + rng.normal(size=12)
    seeds = (0, 1, 2)
    gap = [ContrastTerm(1.0, baseline.astype(float), seeds), term(-1, teacher)]
    steady = fieller(
        [ContrastTerm(1.0, baseline.astype(float), seeds), ContrastTerm(-1.0, same, seeds)], gap, words
    )
    assert interval(3) > steady.high - steady.low


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", [1, 3])
def test_a_known_share_is_covered(num_seeds, trials):
    """Twenty speakers; a teacher at 5 %, a baseline at 20 % and a student at 14 %: a share of 0.4."""
    rng = np.random.default_rng(num_seeds)
    covered = 0
    seeds = tuple(range(num_seeds))
    number = trials(300)
    for trial in range(number.count):
        words = rng.integers(80, 160, size=20).astype(float)
        hard = np.exp(rng.normal(0, 0.4, size=20) - 0.08) * words
        each = rng.normal(1, 0.05 if num_seeds > 1 else 0.0, size=(2, num_seeds, 1))
        teacher = rng.poisson(0.05 * hard).astype(float)
        baseline = rng.poisson(0.20 * hard * each[0]).astype(float)
        student = rng.poisson(0.14 * hard * each[1]).astype(float)
        if num_seeds == 1:
            a, b, c, _ = resample(np.stack([teacher, baseline[0], student[0], words]), trial, 1000)
            found = expanded_percentile((b - c) / (b - a), 20)
        else:
            closed = [ContrastTerm(1.0, baseline, seeds), ContrastTerm(-1.0, student, seeds)]
            found = fieller(closed, [ContrastTerm(1.0, baseline, seeds), term(-1, teacher)], words)
        covered += found.low <= 0.4 <= found.high
    assert 0.92 - number.slack <= covered / number.count <= 0.985 + number.slack
