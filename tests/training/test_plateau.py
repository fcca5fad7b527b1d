"""CTC's plateau: the rule on curves of known shape, and the watch of a run that may be resumed."""

import math

import numpy as np
import pytest

from asrkd.training.plateau import PlateauRule, PlateauWatch, ctc_loss, find_plateau, unigram_loss

UNIGRAM, STEPS = 2.5, 2400


def curve(shape, noise=0.15, seed=1):
    """A loss every 20 steps, given its course over the share of the run."""
    rng = np.random.default_rng(seed)
    return [(step, shape(step / STEPS) + rng.normal(0, noise)) for step in range(20, STEPS + 1, 20)]


def at(level, begin=2.5):
    """Falls to a level in a tenth of the run, and stays there."""
    return lambda share: level + (begin - level) * max(0.0, 1 - 10 * share)


def test_the_unigram_loss_is_the_entropy_of_token_frequencies():
    assert unigram_loss({1: 4, 2: 2, 3: 1, 4: 1}) == pytest.approx(
        0.5 * math.log(2) + 0.25 * math.log(4) + 0.25 * math.log(8)
    )
    assert unigram_loss({7: 3}) == unigram_loss({}) == 0


@pytest.mark.parametrize(
    ("level", "is_stuck"), [(2.5, True), (1.8, True), (1.35, True), (1.0, False), (0.1, False)]
)
def test_losses_that_stay_above_half_of_the_unigram_loss_are_a_plateau(level, is_stuck):
    for seed in range(20):
        found = find_plateau(curve(at(level), seed=seed), STEPS, UNIGRAM)
        assert (found is not None) == is_stuck
        if found:
            assert found.loss == pytest.approx(level, abs=0.1) and found.num_updates == 480


def test_a_slow_but_steady_fall_is_no_plateau():
    for seed in range(20):
        assert (
            find_plateau(curve(lambda share: 2.5 - 1.2 * share, noise=0.05, seed=seed), STEPS, UNIGRAM)
            is None
        )


def test_a_fifth_of_the_run_has_to_pass_first():
    points = curve(lambda share: 2.0, noise=0)
    assert find_plateau(points[:24], STEPS, UNIGRAM) is None
    assert find_plateau(points[:25], STEPS, UNIGRAM) is not None
    assert find_plateau(points[:2], 100, UNIGRAM, PlateauRule(min_points=3)) is None
    assert find_plateau([], STEPS, UNIGRAM) is None


@pytest.mark.parametrize(("steps", "first"), [(80, None), (100, 100), (300, 100), (400, 100), (1000, 220)])
def test_in_a_short_run_the_stretch_is_as_long_as_five_losses(steps, first):
    watch = PlateauWatch(steps, UNIGRAM, 0)
    assert reports(watch, [(step, 2.0) for step in range(20, steps + 1, 20)]) == ([first] if first else [])


def test_without_a_unigram_loss_nothing_is_a_plateau():
    """A single token, or a validator of text."""
    assert find_plateau(curve(lambda share: 2.0), STEPS, 0.0) is None


def test_the_loss_of_ctc_is_known_by_its_label():
    assert ctc_loss({"ctc-nbest": 2.0, "codebook": 1.0, "ctc#2": 1.5}) == 1.5
    assert ctc_loss({"loss": 9.0, "loss_ctc": 2.0, "loss_ctcx": 1.0, "lr": 0.1}, "loss_") == 2.0
    assert ctc_loss({"codebook": 1.0}) is None


def reports(watch, points, label="ctc"):
    return [step for step, loss in points if watch.observe(step, {label: loss}) is not None]


def test_a_watch_reports_once_and_not_in_the_warmup():
    points = curve(lambda share: 2.0, noise=0)
    assert reports(PlateauWatch(STEPS, UNIGRAM, 0), points) == [500]
    assert reports(PlateauWatch(STEPS, UNIGRAM, 200), points) == [700]
    assert reports(PlateauWatch(STEPS, UNIGRAM, 0), points, "codebook") == []


def test_a_phase_without_ctc_starts_the_watch_anew():
    watch = PlateauWatch(STEPS, UNIGRAM, 0)
    points = curve(lambda share: 2.0, noise=0)
    assert reports(watch, points[:20]) == [] == reports(watch, points[20:30], "codebook")
    assert reports(watch, points[30:]) == [points[54][0]]


def test_the_warmup_of_a_phase_that_begins_with_ctc_is_left_out():
    watch = PlateauWatch(STEPS, UNIGRAM, 200)
    points = curve(lambda share: 2.0, noise=0)
    assert reports(watch, points[:40], "codebook") == []
    assert reports(watch, points[40:]) == [800 + 200 + 20 + 480]


@pytest.mark.parametrize("resumed_at", [300, 480, 500, 520])
def test_a_resumed_watch_reports_where_the_run_left_alone_would(resumed_at):
    points = curve(lambda share: 2.0, noise=0)
    log = [{"kind": "train", "step": step, "loss_ctc": loss, "lr": 0.1} for step, loss in points]
    log.insert(25, {"kind": "plateau", "step": 500, "loss": 2.0})
    watch = PlateauWatch(STEPS, UNIGRAM, 0)
    watch.replay([record for record in log if record["step"] <= resumed_at])
    left = [(step, loss) for step, loss in points if step > resumed_at]
    assert reports(watch, left) == ([500] if resumed_at < 500 else [])
