"""Reverse water-filling against hand sums, a search for the water level, and random codes."""

import math

import pytest
import torch

from asrkd.quantizer.shannon import gaussian_distortion, principal_variances


def by_bisection(variances, bits):
    """The same by a search for the water level at which the directions above it take so many bits."""
    low, high = 0.0, max(variances)
    for _ in range(200):
        level = (low + high) / 2
        rate = sum(0.5 * math.log2(v / level) for v in variances if v > level)
        low, high = (level, high) if rate > bits else (low, level)
    return sum(min(v, high) for v in variances) / sum(variances)


def test_two_directions_by_hand():
    variances = torch.tensor([4.0, 1.0])
    assert gaussian_distortion(variances, 0.0) == 1.0
    assert gaussian_distortion(variances, 0.5) == pytest.approx((2 + 1) / 5)  # only the larger: 4 / 2
    assert gaussian_distortion(variances, 1.0) == pytest.approx((1 + 1) / 5)  # just level with the smaller
    assert gaussian_distortion(variances, 2.0) == pytest.approx((0.5 + 0.5) / 5)  # sqrt(4 * 1) / 2 ** 2


def test_an_isotropic_gaussian_loses_6_db_a_bit_and_dimension():
    assert gaussian_distortion(torch.ones(16), 16.0) == pytest.approx(2**-2)
    assert gaussian_distortion(torch.full((16,), 1e-30), 32.0) == pytest.approx(2**-4)


@pytest.mark.parametrize("bits", [0.1, 1.0, 7.3, 32.0, 128.0])
def test_is_what_a_search_for_the_water_level_finds(generator, bits):
    variances = torch.rand(20, generator=generator).double() ** 4
    assert gaussian_distortion(variances, bits) == pytest.approx(by_bisection(variances.tolist(), bits))


def test_directions_without_variance_cost_nothing():
    assert gaussian_distortion(torch.tensor([0.0, 4.0, 0.0, 1.0]), 2.0) == pytest.approx(0.2)
    assert gaussian_distortion(torch.zeros(3), 2.0) == 0.0


def test_variances_are_those_along_the_axes_that_were_drawn(generator):
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    spread = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.0])
    frames = 100 + (torch.randn(50_000, 5, generator=generator) * spread) @ rotation
    found = principal_variances(frames)
    torch.testing.assert_close(found.float(), spread.square(), rtol=0.03, atol=1e-6)
    assert (found >= 0).all()
