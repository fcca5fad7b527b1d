"""One refinement pass against complete searches and against the reference package, in torch and compiled."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asrkd.quantizer.search import refinement, search
from asrkd.quantizer.search.tables import CenterTables, dots_of, squared_errors, sum_entries


@pytest.fixture(params=["torch", "compiled"])
def refine(request):
    """A pass by either means, as a function of frames, centers and indexes."""
    if request.param == "compiled":
        pytest.importorskip("numba", reason="no numba here; to run it: pip install numba")
    one = {"torch": refinement, "compiled": search}[request.param].refine_rounds

    def run(frames, centers, indexes, survivors=None):
        rounds, _ = one(dots_of(frames, centers), CenterTables.of(centers), indexes, 1, survivors)
        assert torch.equal(rounds[0].long(), indexes)
        return rounds[1].long()

    return run


def complete_search(frames, centers):
    """Lowest squared error over all K ** N combinations, frame by frame, (B,)."""
    num_codebooks, codebook_size, _ = centers.shape
    combinations = itertools.product(range(codebook_size), repeat=num_codebooks)
    sums = torch.stack([sum(centers[n, k] for n, k in enumerate(entries)) for entries in combinations])
    return torch.cdist(frames.double(), sums.double()).square().min(dim=1).values.float()


def random_case(generator, num_codebooks, codebook_size, dim=5, num_frames=40):
    frames = torch.randn(num_frames, dim, generator=generator)
    centers = torch.randn(num_codebooks, codebook_size, dim, generator=generator)
    indexes = torch.randint(codebook_size, (num_frames, num_codebooks), generator=generator)
    return frames, centers, indexes


@pytest.mark.parametrize("codebook_size", [2, 8, 16, 64])
def test_two_codebooks_are_searched_exhaustively(refine, generator, codebook_size):
    frames, centers, indexes = random_case(generator, 2, codebook_size)
    refined = refine(frames, centers, indexes, survivors=codebook_size)
    best = complete_search(frames, centers)
    torch.testing.assert_close(squared_errors(frames, centers, refined), best, rtol=1e-4, atol=1e-5)


def test_one_codebook_gives_the_nearest_entry(refine, generator):
    frames, centers, indexes = random_case(generator, 1, 256)
    nearest = torch.cdist(frames, centers[0]).argmin(dim=1)
    assert torch.equal(refine(frames, centers, indexes)[:, 0], nearest)


@pytest.mark.parametrize(
    ("num_codebooks", "codebook_size"), [(4, 2), (4, 4), (4, 8), (8, 2), (2, 16), (3, 5), (5, 3)]
)
def test_a_few_passes_come_close_to_the_best_combination(refine, generator, num_codebooks, codebook_size):
    frames, centers, indexes = random_case(generator, num_codebooks, codebook_size)
    best = complete_search(frames, centers)
    for _ in range(3):
        indexes = refine(frames, centers, indexes)
    found = squared_errors(frames, centers, indexes)
    assert (found >= best - 1e-4).all()
    assert found.mean() <= 1.35 * best.mean()  # from random indexes; a classifier's are a better start


def test_a_pass_lowers_the_mean_error_by_much_of_random_indexes(refine, generator):
    frames, centers, indexes = random_case(generator, 8, 16, dim=12)
    before = squared_errors(frames, centers, indexes).mean()
    assert squared_errors(frames, centers, refine(frames, centers, indexes)).mean() < before / 2


def test_passes_are_those_of_the_reference_package(refine, reference):
    centers = reference.quantizer.scaled_centers()
    indexes = reference.indexes(0)
    for passes in range(1, 6):
        indexes = refine(reference.frames, centers, indexes)
        if passes in (1, 2, 5):
            assert torch.equal(indexes, reference.indexes(passes))


@settings(max_examples=40, deadline=None)
@example(17, 2, 5, 1)
@example(33, 2, 9, 2)
@example(61, 3, 9, 3)
@given(st.integers(1, 17), st.integers(2, 40), st.integers(1, 30), st.integers(0, 2**31))
def test_both_means_find_the_same_indexes_and_the_true_change(num_codebooks, codebook_size, dim, seed):
    pytest.importorskip("numba", reason="no numba here; to run it: pip install numba")
    generator = torch.Generator().manual_seed(seed)
    frames, centers, indexes = random_case(generator, num_codebooks, codebook_size, dim, num_frames=9)
    centers = centers.round()  # so that many options are equally good
    tables, dots = CenterTables.of(centers), dots_of(frames, centers)
    plain, compiled = (how.refine_rounds(dots, tables, indexes, 3) for how in (refinement, search))
    for ours, theirs in zip(plain, compiled, strict=True):
        assert torch.equal(ours, theirs)
    errors = torch.stack([squared_errors(frames, centers, found.long()) for found in plain[0]])
    change = (errors[1:] - errors[:-1]).double()
    torch.testing.assert_close(plain[1].double() / tables.units, change, rtol=1e-3, atol=1e-2)


def test_values_far_outside_of_the_data_have_indexes_too():
    centers = torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(1))
    frames = torch.tensor([[1e30, 0, 0, 0], [0, -1e30, 0, 0], [0, 0, 0, 0.0]])
    tables, dots = CenterTables.of(centers), dots_of(frames, centers)
    zeros = torch.zeros(3, 3, dtype=torch.long)
    found, _ = refinement.refine_rounds(dots, tables, zeros, 2)
    assert torch.equal(found, search.refine_rounds(dots, tables, zeros, 2)[0])
    assert 0 <= int(found.min()) <= int(found.max()) < 8


def test_entries_are_looked_up_in_their_own_codebook():
    centers = torch.arange(12.0).view(2, 3, 2)  # entry k of codebook n starts with 6 n + 2 k
    sums = sum_entries(centers, torch.tensor([[0, 2], [1, 0]]))
    assert sums.tolist() == [[0 + 10, 1 + 11], [2 + 6, 3 + 7]]


def test_squared_errors_are_summed_by_hand():
    centers = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [0.0, 0.0]]])
    frames = torch.tensor([[1.0, 2.0], [4.0, 3.0]])
    errors = squared_errors(frames, centers, torch.tensor([[0, 0], [1, 1]]))
    assert errors.tolist() == [0.0, 25.0]
