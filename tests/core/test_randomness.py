"""Seeds that say where we are, and global generators that are put back."""

import hashlib
import random

import torch
from hypothesis import given
from hypothesis import strategies as st

from asrkd.core.randomness import derive, evenly_spaced, seeded


def states() -> tuple[object, bytes]:
    return random.getstate(), torch.get_rng_state().numpy().tobytes()


def test_a_seed_is_the_first_63_bits_of_sha256():
    digest = hashlib.sha256(b"3\x1faugment\x1f0\x1fcut-1").hexdigest()
    assert derive(3, "augment", 0, "cut-1") == int(digest[:16], 16) // 2


def test_places_that_read_alike_have_different_seeds():
    places = [(1, 23), (12, 3), (1, 2, 3), ("1 23",), (123,), ("1", "", "23"), (1, "2,3")]
    assert len({derive(*place) for place in places}) == len(places)
    assert derive(1, "2") == derive("1", 2)  # numbers and their names are one


def test_global_generators_are_seeded_by_place_and_restored():
    before = states()
    drawn = []
    for _ in range(2):
        with seeded(1, "x") as rng:
            drawn.append((random.random(), float(torch.rand(())), rng.random()))
    assert drawn[0] == drawn[1]
    assert states() == before
    with seeded(1, "y"):
        assert random.random() != drawn[0][0]


def test_generators_are_restored_after_errors_and_nested_blocks():
    before = states()
    try:
        with seeded(1):
            outer = float(torch.rand(()))
            with seeded(2):
                torch.rand(())
            following = float(torch.rand(()))
            raise KeyError
    except KeyError:
        pass
    assert states() == before
    with seeded(1):
        assert [float(torch.rand(())), float(torch.rand(()))] == [outer, following]


def test_the_private_generator_does_not_move_the_global_one():
    with seeded(5) as rng:
        start = random.getstate()
        rng.sample(range(100), 10)
        assert random.getstate() == start


@given(st.integers(0, 500), st.integers(1, 80))
def test_items_are_at_most_as_many_from_the_first_on_at_equal_distances(count, most):
    chosen = evenly_spaced(range(count), most)
    assert len(chosen) <= most
    assert len(chosen) == count or count > most
    assert chosen[:1] == list(range(count))[:1]
    assert len({later - earlier for earlier, later in zip(chosen, chosen[1:], strict=False)}) <= 1
    assert not chosen or chosen[-1] + (count + most - 1) // most >= count  # none is left beyond the last
