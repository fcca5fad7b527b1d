"""First indexes by a beam, in torch and compiled, against a plain search in floats and complete ones."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.report import relative_error
from asrkd.quantizer.search import beam, search
from asrkd.quantizer.search.search import REFERENCE, IndexSearch
from asrkd.quantizer.search.tables import CenterTables, dots_of, squared_errors


@pytest.fixture(params=["torch", "compiled"])
def first_indexes(request):
    """The search by either means, as a function of frames, centers and the beam."""
    if request.param == "compiled":
        pytest.importorskip("numba", reason="no numba here; to run it: pip install numba")
    found = {"torch": beam, "compiled": search}[request.param].beam_indexes
    return lambda frames, centers, width: found(dots_of(frames, centers), CenterTables.of(centers), width)


def random_case(generator, num_codebooks, codebook_size, dim=5, num_frames=30):
    frames = torch.randn(num_frames, dim, generator=generator)
    return frames, torch.randn(num_codebooks, codebook_size, dim, generator=generator)


def plain_search(frame, centers, width):
    """The error of the best of the beam, with vectors, floats and sorted lists."""
    alone = (centers - frame).square().sum(dim=2).min(dim=1).values
    sums = [torch.zeros_like(frame)]
    for codebook in alone.argsort():
        tried = [one + entry for one in sums for entry in centers[codebook]]
        sums = sorted(tried, key=lambda one: float((one - frame).square().sum()))[:width]
    return float((sums[0] - frame).square().sum())


@pytest.mark.parametrize(("num_codebooks", "codebook_size", "width"), [(3, 5, 1), (4, 8, 4), (5, 33, 7)])
def test_the_beam_finds_what_a_search_with_vectors_finds(
    first_indexes, generator, num_codebooks, codebook_size, width
):
    frames, centers = random_case(generator, num_codebooks, codebook_size)
    found = squared_errors(frames, centers, first_indexes(frames, centers, width))
    expected = torch.tensor([plain_search(frame, centers, width) for frame in frames])
    # Coarse costs may take one of two nearly equal ways; few frames have such.
    assert (found - expected).abs().median() < 1e-5
    assert ((found - expected).abs() < 1e-3).float().mean() > 0.9


@pytest.mark.parametrize(("num_codebooks", "codebook_size"), [(2, 8), (3, 4), (1, 64)])
def test_a_beam_of_all_combinations_finds_the_best(first_indexes, generator, num_codebooks, codebook_size):
    frames, centers = random_case(generator, num_codebooks, codebook_size)
    combinations = itertools.product(range(codebook_size), repeat=num_codebooks)
    sums = torch.stack([sum(centers[n, k] for n, k in enumerate(entries)) for entries in combinations])
    best = torch.cdist(frames.double(), sums.double()).square().min(dim=1).values.float()
    width = codebook_size ** (num_codebooks - 1)
    found = squared_errors(frames, centers, first_indexes(frames, centers, width))
    torch.testing.assert_close(found, best, rtol=1e-3, atol=2e-3)  # a coarse unit is some 10 / 2^14


@settings(max_examples=40, deadline=None)
@example(17, 2, 5, 64, 1)
@example(33, 2, 9, 3, 2)
@example(8, 256, 9, 16, 3)
@given(st.integers(1, 17), st.integers(2, 40), st.integers(1, 30), st.integers(1, 64), st.integers(0, 2**31))
def test_both_means_find_the_same_indexes(num_codebooks, codebook_size, dim, width, seed):
    pytest.importorskip("numba", reason="no numba here; to run it: pip install numba")
    generator = torch.Generator().manual_seed(seed)
    frames, centers = random_case(generator, num_codebooks, codebook_size, dim, num_frames=9)
    centers = centers.round()  # so that many sums are equally good
    tables, dots = CenterTables.of(centers), dots_of(frames, centers)
    assert torch.equal(beam.beam_indexes(dots, tables, width), search.beam_indexes(dots, tables, width))


def test_outliers_have_equal_indexes_by_both_engines(first_indexes, generator):
    centers = torch.randn(3, 8, 4, generator=generator)
    frames = torch.tensor([[1e30, 0, 0, 0], [0, -1e30, 0, 0], [0, 0, 0, 0.0]])
    found = first_indexes(frames, centers, 4)
    assert torch.equal(found, beam.beam_indexes(dots_of(frames, centers), CenterTables.of(centers), 4))
    assert 0 <= int(found.min()) <= int(found.max()) < 8


def test_threads_share_the_frames_and_change_nothing(generator):
    frames, centers = random_case(generator, 4, 16, num_frames=101)
    tables, dots = CenterTables.of(centers), dots_of(frames, centers)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = search.beam_indexes(dots, tables, 8)
        torch.set_num_threads(3)
        assert torch.equal(search.beam_indexes(dots, tables, 8), alone)
    finally:
        torch.set_num_threads(before)


def test_wider_beams_and_more_passes_beat_the_reference(generator):
    made = DirectSumQuantizer(16, num_codebooks=8, codebook_size=32)
    with torch.no_grad():
        made.centers.copy_(torch.randn(8, 32, 16, generator=generator))
        made.to_logits.weight.copy_(made.centers.flatten(0, 1))
    frames = made.decode(torch.randint(32, (300, 8), generator=generator))
    frames += torch.randn(300, 16, generator=generator)
    error = {
        asked: relative_error(made, frames, made.encode(frames, asked))
        for asked in (IndexSearch(1, 0), IndexSearch(16, 0), IndexSearch(16, 3), REFERENCE)
    }
    narrow, wide, refined, reference = error.values()
    assert narrow > wide > refined
    assert refined < reference
