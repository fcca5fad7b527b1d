"""The plan of an epoch: every cut once, batches no longer than asked, a function of seed and epoch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import MonoCut, Recording

from asrkd.training.plan import EpochPlan, plan_epoch, plan_in_order

durations = st.lists(st.integers(10, 500), min_size=1, max_size=60)  # hundredths of a second


def make_cuts(hundredths: list[int]) -> list[MonoCut]:
    cuts = []
    for number, length in enumerate(hundredths):
        recording = Recording(f"r{number}", [], 8000, 80 * length, length / 100)
        cuts.append(MonoCut(f"c{number}", 0, length / 100, 0, recording=recording))
    return cuts


def check(plan: EpochPlan, cuts: list[MonoCut], max_duration: float) -> None:
    """Each cut in one batch; a batch within the limit, padding counted, unless it is a single cut."""
    assert sorted(cut_id for batch in plan.batches for cut_id in batch) == sorted(cut.id for cut in cuts)
    length = {cut.id: cut.duration for cut in cuts}
    for batch in plan.batches:
        padded = len(batch) * max(length[cut_id] for cut_id in batch)
        assert len(batch) == 1 or padded <= max_duration + 1e-6


@settings(max_examples=12, deadline=None)
@given(durations, st.integers(1, 12), st.integers(1, 20))
def test_an_epoch_has_each_cut_once_in_batches_within_the_limit(lengths, num_buckets, max_duration):
    cuts = make_cuts(lengths)
    plan = plan_epoch(cuts, seed=3, epoch=1, max_duration=max_duration, num_buckets=num_buckets)
    check(plan, cuts, max_duration)


@settings(max_examples=40, deadline=None)
@given(durations, st.integers(1, 20))
def test_an_ordered_plan_has_each_cut_once_longest_first(lengths, max_duration):
    cuts = make_cuts(lengths)
    plan = plan_in_order(cuts, max_duration)
    check(plan, cuts, max_duration)
    length = {cut.id: cut.duration for cut in cuts}
    ordered = [length[cut_id] for batch in plan.batches for cut_id in batch]
    assert ordered == sorted(ordered, reverse=True)
    assert plan == plan_in_order(list(reversed(cuts)), max_duration)


@pytest.fixture
def cuts():
    return make_cuts([50 + 7 * number % 300 for number in range(120)])


def plan(cuts: list[MonoCut], *, seed: int = 1, epoch: int = 0) -> EpochPlan:
    return plan_epoch(cuts, seed=seed, epoch=epoch, max_duration=10, num_buckets=4)


def test_plans_depend_on_seed_and_epoch(cuts):
    first = plan(cuts)
    assert plan(cuts) == first
    others = [plan(cuts, epoch=1), plan(cuts, epoch=2), plan(cuts, seed=2)]
    assert len({first.digest, *(other.digest for other in others)}) == 4


def test_a_digest_tells_how_cuts_are_batched_apart():
    digests = {EpochPlan(batches).digest for batches in [(("a", "b"),), (("a",), ("b",)), (("b", "a"),)]}
    assert len(digests) == 3


def test_a_batch_holds_cuts_of_like_duration(cuts):
    """The oracle: with buckets, less of the batches is padding than in random ones."""

    def padding(found: EpochPlan) -> float:
        length = {cut.id: cut.duration for cut in cuts}
        padded = sum(len(batch) * max(length[c] for c in batch) for batch in found.batches)
        return 1 - sum(length.values()) / padded

    assert padding(plan(cuts)) < padding(plan_epoch(cuts, seed=1, epoch=0, max_duration=10, num_buckets=2))
