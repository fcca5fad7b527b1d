"""Best centers against numpy's least squares and against moving away from them."""

import itertools

import numpy as np
import pytest
import torch

from asrkd.quantizer.fit.least_squares import CenterStatistics, _multiply, _scatter
from asrkd.quantizer.search.tables import squared_errors


def best_centers(frames, indexes, centers, ridge):
    statistics = CenterStatistics(centers)
    statistics.add(frames, indexes)
    return statistics.solve(centers, ridge)


@pytest.fixture
def case(generator):
    """Frames, indexes (N = 3, K = 4) and centers to start from."""
    return (
        torch.randn(60, 5, generator=generator),
        torch.randint(4, (60, 3), generator=generator),
        torch.randn(3, 4, 5, generator=generator),
    )


def test_equals_numpys_least_squares_with_ridge_rows(case):
    frames, indexes, centers = case
    picks = torch.nn.functional.one_hot(indexes, 4).flatten(1).double().numpy()  # (60, 12)
    rows = np.concatenate([picks, np.sqrt(0.7) * np.eye(12)])
    wanted = np.concatenate([frames.double().numpy(), np.sqrt(0.7) * centers.flatten(0, 1).double().numpy()])
    solved = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    found = best_centers(frames, indexes, centers, ridge=0.7).flatten(0, 1)
    np.testing.assert_allclose(found.numpy(), solved, atol=1e-5)


def test_no_step_away_lowers_the_error(case, generator):
    frames, indexes, centers = case
    best = best_centers(frames, indexes, centers, ridge=1e-6)
    lowest = squared_errors(frames, best, indexes).sum()
    assert lowest < squared_errors(frames, centers, indexes).sum()
    for _ in range(20):
        elsewhere = best + 0.01 * torch.randn(best.shape, generator=generator)
        assert squared_errors(frames, elsewhere, indexes).sum() > lowest


def test_centers_that_make_the_frames_exactly_stay(case):
    _, indexes, centers = case
    frames = torch.stack([sum(centers[n, k] for n, k in enumerate(row)) for row in indexes.tolist()])
    torch.testing.assert_close(best_centers(frames, indexes, centers, ridge=1.0), centers)


def test_an_entry_that_no_frame_has_stays(case):
    frames, indexes, centers = case
    indexes = indexes.clamp(max=2)
    best = best_centers(frames, indexes, centers, ridge=1.0)
    torch.testing.assert_close(best[:, 3], centers[:, 3])


def test_one_codebook_without_ridge_has_the_means_of_its_frames(case):
    frames, indexes, centers = case
    best = best_centers(frames, indexes[:, :1], centers[:1], ridge=1e-9)
    for entry in range(4):
        torch.testing.assert_close(best[0, entry], frames[indexes[:, 0] == entry].mean(dim=0))


def test_batches_add_up(case):
    frames, indexes, centers = case
    statistics = CenterStatistics(centers)
    for part in (slice(0, 25), slice(25, 60)):
        statistics.add(frames[part], indexes[part])
    together = best_centers(frames, indexes, centers, ridge=2.0)
    torch.testing.assert_close(statistics.solve(centers, ridge=2.0), together)


def test_decayed_frames_count_by_their_weight(case):
    frames, indexes, centers = case
    statistics = CenterStatistics(centers)
    statistics.add(-frames, indexes)
    statistics.fade(1e-12)
    for _ in range(2):
        statistics.add(frames, indexes)
    statistics.fade(0.5)
    together = best_centers(frames, indexes, centers, ridge=2.0)
    torch.testing.assert_close(statistics.solve(centers, ridge=2.0), together)


def test_a_gpus_sums_are_those_of_the_scatter(case):
    frames, indexes, centers = case
    size = centers.shape[0] * centers.shape[1]
    rows = indexes + torch.arange(0, size, centers.shape[1])
    found = []
    for add, weighted in ((_scatter, frames.double() * 1.5), (_multiply, frames)):
        counts, sums = torch.zeros(size, size).double(), torch.zeros(size, frames.shape[1]).double()
        add(rows, weighted, 1.5, counts, sums)
        found.append((counts, sums))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-5)


def test_pairs_of_neighboring_codebooks_are_counted(generator):
    indexes = torch.randint(3, (50, 4), generator=generator)
    statistics = CenterStatistics(torch.zeros(4, 3, 2))
    statistics.add(torch.zeros(50, 2), indexes)
    statistics.fade(0.5)
    counts = statistics.pair_counts()
    for n, a, b in itertools.product(range(2), range(3), range(3)):
        together = (indexes[:, 2 * n] == a) & (indexes[:, 2 * n + 1] == b)
        assert float(counts[n, a, b]) == pytest.approx(0.5 * int(together.sum()))


def test_what_was_seen_can_be_handed_on(case):
    frames, indexes, centers = case
    statistics, other = CenterStatistics(centers), CenterStatistics(centers)
    statistics.add(frames, indexes)
    statistics.fade(0.9)
    other.restore({name: value.clone() for name, value in statistics.state().items()})
    for one in (statistics, other):
        one.add(frames.flip(0), indexes)
    assert torch.equal(statistics.solve(centers, 1.0), other.solve(centers, 1.0))
