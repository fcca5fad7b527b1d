"""Best centres against numpy's least squares and against moving away from them."""

import numpy as np
import pytest
import torch

from asrkd.quantizer.least_squares import CenterStatistics
from asrkd.quantizer.tables import squared_errors


def best_centers(frames, indexes, centers, ridge):
    statistics = CenterStatistics(centers)
    statistics.add(frames, indexes)
    return statistics.solve(centers, ridge)


@pytest.fixture
def case(generator):
    """Frames, indexes (N = 3, K = 4) and centres to start from."""
    return (
        torch.randn(60, 5, generator=generator),
        torch.randint(4, (60, 3), generator=generator),
        torch.randn(3, 4, 5, generator=generator),
    )


def test_equals_numpys_least_squares_with_the_ridge_as_more_rows(case):
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


def test_centres_that_make_the_frames_exactly_stay(case):
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


def test_frames_seen_twice_and_faded_to_half_count_once_and_faded_to_nothing_not_at_all(case):
    frames, indexes, centers = case
    statistics = CenterStatistics(centers)
    statistics.add(-frames, indexes)
    statistics.fade(0.0)
    for _ in range(2):
        statistics.add(frames, indexes)
    statistics.fade(0.5)
    together = best_centers(frames, indexes, centers, ridge=2.0)
    torch.testing.assert_close(statistics.solve(centers, ridge=2.0), together)
