"""What a search checks before it starts."""

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.decoding.ctc_score import checked_lengths
from asrkd.models.masks import frame_mask


def test_lengths_come_back_as_numbers(random_posteriors):
    assert checked_lengths(random_posteriors(0, (3, 4, 2)), torch.tensor([4, 0, 2])) == [4, 0, 2]


def test_nan_in_padding_is_nobodys_business(random_posteriors):
    log_probs = random_posteriors(0, (2, 4, 3))
    log_probs[1, 2:] = torch.nan
    assert checked_lengths(log_probs, torch.tensor([4, 2])) == [4, 2]


def test_nan_in_a_real_frame_is_named_in_one_line(random_posteriors):
    log_probs = random_posteriors(0, (2, 4, 3))
    log_probs[1, 2, 0] = torch.nan
    with pytest.raises(AsrkdError, match="frame 2 of utterance 1") as caught:
        checked_lengths(log_probs, torch.tensor([4, 3]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "num_frames"),
    [((4, 3), [4]), ((2, 4, 3), [4]), ((2, 4, 3), [4, 5]), ((2, 4, 3), [-1, 4]), ((2, 4, 0), [4, 4])],
)
def test_shapes_that_do_not_fit_are_refused(shape, num_frames):
    with pytest.raises(ValueError, match=r"must be"):
        checked_lengths(torch.zeros(shape), torch.tensor(num_frames))


def test_lengths_that_are_not_integers_are_refused():
    with pytest.raises(ValueError, match="2 integers"):
        checked_lengths(torch.zeros(2, 4, 3), torch.tensor([1.0, 2.0]))


def test_real_frames_are_those_before_the_end():
    assert frame_mask(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True, True, True]]
