"""Figures of a quantizer that can be worked out on paper."""

from pathlib import Path

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.report import QuantizerReport, measure, relative_error
from asrkd.quantizer.search.search import IndexSearch


@pytest.fixture
def corners():
    """Two codebooks of two entries: +-1 along either axis, about (20, 20)."""
    made = DirectSumQuantizer(2, num_codebooks=2, codebook_size=2)
    with torch.no_grad():
        made.centers.copy_(torch.tensor([[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, -1.0]]]))
        made.mean.fill_(20.0)
    return made


def test_frames_on_the_corners_of_a_square(corners):
    frames = 20 + torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]])
    report = measure(corners, frames, torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    assert report.held_out_errors == (0.0,) * 4
    assert report.index_entropy_bits == pytest.approx((1.0, 0.0))
    assert report.used_entries == (2, 1)
    assert (report.num_frames, report.held_out_frames) == (4, 4)
    assert report.shannon_bound == pytest.approx(2**-2)  # 2 bits in 2 dimensions
    assert report.shannon_bounds[:3] == pytest.approx((2**-8, 2**-16, 2**-32))  # 1, 2 and 4 bytes
    assert report.text() == (
        "relative squared error 0.000 of 4 held-out frames (Gaussian bound 0.250), "
        "index entropy 0.50 of 1.00 bits, 1 entries unused"
    )


def test_the_error_is_relative_to_distances_from_the_mean(corners):
    frames = 20 + torch.tensor([[2.0, 1.0], [-2.0, -1.0]])  # 1 away from a corner, 5 from the mean
    indexes = corners.encode(frames)
    assert relative_error(corners, frames, indexes) == pytest.approx(1 / 5)


def test_errors_are_those_of_each_number_of_refinements(reference):
    report = measure(reference.quantizer, reference.frames, reference.frames)
    for refinements in (0, 1, 3):
        search = IndexSearch(refinements=refinements)
        indexes = reference.quantizer.encode(reference.frames, search)
        decoded = reference.quantizer.decode(indexes)
        expected = ((decoded - reference.frames) ** 2).sum() / (reference.frames**2).sum()
        assert report.held_out_errors[refinements] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("held_out_errors", [], "held_out_errors is .*, tuple should have at least 1 item"),
        ("held_out_errors", [0.5, "x"], "held_out_errors.1 is 'x', expected a number"),
        ("shannon_bound", float("nan"), "shannon_bound is nan, expected a finite number"),
        ("shannon_bounds", [0.5], "shannon_bounds is .*, tuple should have at least 7 items"),
        ("num_frames", -1, "num_frames is -1, expected a number"),
    ],
)
def test_a_report_of_wrong_fields_is_told_by_its_folder(field, value, complaint):
    good = {
        "num_frames": 3, "held_out_frames": 1, "codebook_size": 4, "held_out_errors": [0.5],
        "shannon_bound": 0.1, "shannon_bounds": [0.1] * 7, "index_entropy_bits": [1.0], "used_entries": [2],
    }  # fmt: skip
    assert QuantizerReport.of(good, Path("q")).held_out_errors == (0.5,)
    with pytest.raises(AsrkdError, match=f"^q: no report .*{complaint}.*asrkd distill quantizer"):
        QuantizerReport.of(good | {field: value}, Path("q"))
