"""Lengths of phases and places in schedules, counted by hand."""

import pytest

from asrkd.training.config import PhaseConfig
from asrkd.training.schedule import PhaseSchedule


def phase(**settings: object) -> PhaseConfig:
    return PhaseConfig(**({"objectives": [{"ctc": {}}]} | settings))


EXPANDED = [{"ctc": {"targets": "exp/nbest", "num_hypotheses": 3, "expand": True}}]


def test_epoch_length_is_updates_of_the_plan_times_passes():
    schedule = PhaseSchedule(
        [phase(steps=5), phase(epochs=1.5), phase(epochs=2, objectives=EXPANDED)], lambda: 4
    )
    assert schedule.steps == [5, 6, 24]
    assert schedule.total == 35


def test_a_pass_is_not_counted_where_no_length_depends_on_it():
    def count() -> int:
        raise AssertionError("a plan of all cuts takes its time")

    assert PhaseSchedule([phase(steps=5)], count).steps == [5]


def test_a_schedule_spans_phases_that_do_not_restart():
    schedule = PhaseSchedule([phase(steps=5), phase(steps=7, restart=False), phase(steps=9)], lambda: 4)
    assert (schedule.place(0, 3), schedule.place(1, 2), schedule.place(2, 8)) == ((3, 12), (7, 12), (8, 9))


def test_finished_epochs_count_since_the_schedule_began():
    schedule = PhaseSchedule([phase(steps=6), phase(steps=30, restart=False, objectives=EXPANDED)], lambda: 4)
    assert [schedule.epochs(0, step) for step in range(6)] == [0, 0, 0, 0, 1, 1]
    # One and a half in the first phase; an epoch of the second has twelve updates.
    assert [schedule.epochs(1, step) for step in (0, 5, 6, 17, 18, 29)] == [1, 1, 2, 2, 3, 3]
    again = PhaseSchedule([phase(steps=6), phase(steps=30)], lambda: 4)
    assert [again.epochs(1, step) for step in (0, 3, 4)] == [0, 0, 1]


@pytest.mark.parametrize("per_pass", [3, 7, 10, 49])
def test_an_epochs_end_is_known_however_phases_divide_it(per_pass):
    lengths = [1] * per_pass
    schedule = PhaseSchedule(
        [phase(steps=own, restart=False, objectives=EXPANDED) for own in lengths * 3], lambda: per_pass
    )
    assert schedule.epochs(3 * per_pass - 1, 0) == 0
    assert schedule.epochs(3 * per_pass - 1, 1) == 1
