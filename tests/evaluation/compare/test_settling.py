"""Settling: the trend against scipy's regression, simulated false alarms and power, ends of schedules."""

import numpy as np
import pytest
from scipy.stats import linregress

from asrkd.evaluation.compare.settling import ScheduleEnd, fit_trend, last_third, schedule_end

RUNS = 2000


@pytest.mark.parametrize("number", [4, 5])
def test_the_trend_is_that_of_scipys_regression(number):
    steps = 100 * np.arange(number) + np.array([0, 3, 9, 1, 4])[:number]
    values = 0.3 - 0.0001 * steps + np.array([0.01, -0.02, 0.005, 0.01, -0.004])[:number]
    expected = linregress(steps, values, alternative="less")
    trend = fit_trend(list(zip(steps, values, strict=True)))
    assert trend.p == pytest.approx(expected.pvalue)
    assert trend.fall == pytest.approx(-expected.slope * (steps[-1] - steps[0]))
    assert trend.start == pytest.approx(expected.intercept + expected.slope * steps[0])


def test_of_many_validations_means_of_five_neighborhoods_are_fitted():
    values = np.random.default_rng(1).normal(1.0, 0.1, 20)
    trend = fit_trend(list(enumerate(values)))
    expected = linregress(np.arange(5) * 4, values.reshape(5, 4).mean(axis=1), alternative="less")
    assert (trend.num_validations, trend.p) == (20, pytest.approx(expected.pvalue))


def falling_share(curves, also=None):
    """The share of (N, T) curves that are called falling, or whose other curve ``also`` is."""
    found = [fit_trend(list(enumerate(curve))).is_falling for curve in curves]
    if also is not None:
        found = np.array(found) | [fit_trend(list(enumerate(curve))).is_falling for curve in also]
    return np.mean(found)


@pytest.mark.parametrize("number", [4, 6, 12])
def test_flat_noisy_curves_are_called_falling_in_one_of_twenty(number):
    rng = np.random.default_rng(number)
    wer, loss = rng.normal(0.3, 0.02, (2, RUNS, number))
    assert falling_share(wer, loss) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / RUNS)


def averages(rng, runs, number, new):
    """Flat (runs, number) curves of averages of five snapshots, of which ``new`` are new each time."""
    noise = rng.normal(0, 0.05, (runs, number * new + 5))
    return 0.3 + np.stack([noise[:, new * i : new * i + 5].mean(axis=1) for i in range(number)], axis=1)


@pytest.mark.parametrize("number", [5, 6, 16])
@pytest.mark.parametrize("new", [1, 2, 3])
def test_noise_that_neighbors_share_gives_no_more_false_alarms(number, new):
    """A snapshot every 50 updates; without a word of them, up to 25 % of these are called falling."""
    wer, loss = (averages(np.random.default_rng(seed), RUNS, number, new) for seed in (number, 99))

    def is_falling(curve):
        points = [(1000 + 50 * new * i, value) for i, value in enumerate(curve)]
        return fit_trend(points, (50, 5)).is_falling

    alarms = [any(map(is_falling, curves)) for curves in zip(wer, loss, strict=True)]
    assert np.mean(alarms) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / RUNS)


def test_a_fall_of_averages_is_noticed():
    curves = averages(np.random.default_rng(3), RUNS, 16, 2) - 0.13 * np.linspace(0, 1, 16)
    found = [fit_trend([(100 * i, v) for i, v in enumerate(curve)], (50, 5)).is_falling for curve in curves]
    assert np.mean(found) > 0.8


def test_validations_of_the_same_snapshots_show_nothing():
    assert fit_trend([(step, 0.5 - step / 100) for step in range(4)], (1000, 1)).p == 1


@pytest.mark.parametrize(("number", "power"), [(4, 0.6), (6, 0.75), (12, 0.95)])
def test_curves_that_fall_by_six_times_their_noise_are_noticed(number, power):
    curves = np.random.default_rng(number).normal(
        0.3 - 0.12 * np.linspace(0, 1, number), 0.02, (RUNS, number)
    )
    assert falling_share(curves) > power


def test_a_fall_of_less_than_two_percent_does_not_count():
    for fall, counts in ((0.019, False), (0.021, True)):
        trend = fit_trend([(step, 0.3 * (1 - fall * step / 5)) for step in range(6)])
        assert trend.p < 1e-9 and trend.is_falling == counts


def test_lines_without_noise_are_falling_or_not():
    assert fit_trend([(step, 0.5) for step in range(4)]).p == 1
    assert fit_trend([(step, 0.5 - step / 8) for step in range(4)]).is_falling
    assert not fit_trend([(step, 0.5 + step / 8) for step in range(4)]).is_falling
    assert fit_trend([(1, 0.5), (2, 0.4), (3, 0.3)]) is None


def test_the_last_third_is_that_of_the_last_phase():
    curve = [(step, 0.0) for step in range(0, 2401, 400)]
    assert [step for step, _ in last_third(curve, 0, 2400)] == [1600, 2000, 2400]
    assert [step for step, _ in last_third(curve, 1200, 2400)] == [2000, 2400]


@pytest.mark.parametrize(
    ("changes", "last", "kind"),
    [
        ({}, 1e-6, "ended"),
        ({}, 0.0011, "unfinished"),
        ({"final_lr": 0.5}, 0.005, "ended"),
        ({"final_lr": 1.0}, 0.01, "ended"),
        ({"schedule": "constant"}, 0.01, "constant"),
        ({"schedule": "exponential", "epoch_factor": 0.99}, 0.0066, "unfinished"),
    ],
)
def test_a_schedule_is_at_its_end_when_little_is_left_of_its_way(changes, last, kind):
    optim = {"lr": 0.01, "final_lr": 0.0, "schedule": "cosine"} | changes
    share = pytest.approx(last / 0.01)
    assert schedule_end(optim, last, in_warmup=False) == ScheduleEnd(kind, share)
    assert schedule_end(optim, last, in_warmup=True) == ScheduleEnd("warm-up", share)
    assert schedule_end({"lr": "much"}, last, in_warmup=False) is None
