"""A contrast against the analysis of variance written out, t tests, and false alarms counted."""

from statistics import mean, stdev, variance

import numpy as np
import pytest

from asrkd.scoring.significance.contrast import ContrastTerm, Estimate, contrast, smallest_difference
from tests.scoring.significance.simulated_coverage import false_alarms


def term(weight: float, errors: object, seeds: tuple[int, ...] = (1,)) -> ContrastTerm:
    return ContrastTerm(weight, np.atleast_2d(np.array(errors, float)), seeds)


def test_one_seed_and_equal_blocks_is_the_paired_t_test():
    first, second, words = [3, 5, 2, 8], [4, 9, 3, 9], np.full(4, 10.0)
    differences = [(a - b) / 10 for a, b in zip(first, second, strict=True)]
    found = contrast([term(1, first), term(-1, second)], words)
    assert found.value == pytest.approx(mean(differences))
    assert found.std_error == pytest.approx(stdev(differences) / 2)
    assert found.degrees == pytest.approx(3)
    # t = -2.3333, of 3 degrees of freedom: between 0.1 (2.353) and 0.2 (1.638) in any table
    assert 0.1 < found.p() < 0.11
    assert found.interval().high == pytest.approx(mean(differences) + 3.182446 * stdev(differences) / 2)


def test_several_seeds_are_the_two_way_analysis_of_variance():
    """Mean squares of a balanced table, rows seeds and columns blocks, with random effects."""
    rng = np.random.default_rng(3)
    table = 5 + 2 * rng.normal(size=(3, 1)) + rng.normal(size=(1, 6)) + rng.normal(size=(3, 6))
    found = contrast([term(10, table, (1, 2, 3))], np.full(6, 10.0))
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    of_rows, of_columns = 6 * variance(rows), 3 * variance(columns)
    rest = table - rows[:, None] - columns + table.mean()
    interaction = (rest**2).sum() / (2 * 5)
    # Variance of the grand mean in the random model: (MS rows + MS columns - MS interaction) / 18
    combined = (of_rows + of_columns - interaction) / 18
    assert found.value == pytest.approx(table.mean())
    assert found.std_error**2 == pytest.approx(combined)
    parts = [(of_rows / 18, 2), (of_columns / 18, 5), (interaction / 18, 10)]
    assert found.degrees == pytest.approx(combined**2 / sum(part**2 / d for part, d in parts))


def test_seeds_are_paired_by_number_in_any_order():
    a, b, words = [[1, 2], [5, 9], [3, 3]], [[2, 2], [6, 8], [3, 5]], np.array([10.0, 12.0])
    one = contrast([term(1, a, (1, 2, 3)), term(-1, b, (1, 2, 3))], words)
    other = contrast([term(1, a, (1, 2, 3)), term(-1, [b[2], b[0], b[1]], (3, 1, 2))], words)
    assert (one.value, one.std_error) == pytest.approx((other.value, other.std_error))
    apart = contrast([term(1, a, (1, 2, 3)), term(-1, b, (4, 5, 6))], words)
    assert apart.value == pytest.approx(one.value)
    assert apart.std_error > one.std_error  # what the seeds share no longer cancels


def test_a_system_and_itself_do_not_differ():
    found = contrast([term(1, [3, 1, 4]), term(-1, [3, 1, 4])], np.array([9.0, 9.0, 9.0]))
    assert (found.value, found.p(), found.probability_below_zero()) == (0, 1, 0.5)
    assert smallest_difference(found) == 0


def test_what_differs_without_spread_differs_surely():
    found = contrast([term(1, [2, 2]), term(-1, [1, 1])], np.array([10.0, 10.0]))
    assert found.value == pytest.approx(0.1)
    assert (found.p(), found.probability_below_zero()) == (pytest.approx(0, abs=1e-9),) * 2


def test_the_smallest_difference_has_a_power_of_80_percent():
    """Simulated: the power of the t test at that difference is 80 %."""
    rng = np.random.default_rng(8)
    known = Estimate(0.0, 0.1 / 30**0.5, 29.0)  # of 30 blocks whose differences have a spread of 0.1
    least = smallest_difference(known)
    assert least == pytest.approx((2.0452 + 0.8542) * known.std_error, rel=1e-4)
    drawn = rng.normal(least, 0.1, size=(4000, 30))
    t = drawn.mean(axis=1) / (drawn.std(axis=1, ddof=1) / 30**0.5)
    assert np.mean(np.abs(t) > 2.0452) == pytest.approx(0.8, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_equal_recipes_seldom_differ_when_seeds_are_counted(num_seeds):
    """At 5 %; a test of one seed each cries wolf three times as often, for it asks about two models."""
    found = false_alarms(num_seeds, num_speakers=20, trials=1500, seed=5)
    assert 0.02 <= found["seeds"] <= 0.065
    assert found["one seed"] > 0.12
