"""Frame rates and delays against index arithmetic written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrkd.targets.alignment import align, ratio
from asrkd.targets.frames import FrameTargets


def numbered(num_frames: list[int], frame_shift: float) -> FrameTargets:
    """Values that say which frame they are of: utterance * 100 + frame."""
    width = max(num_frames)
    values = torch.arange(width)[None, :, None] + 100 * torch.arange(len(num_frames))[:, None, None]
    return FrameTargets(values, torch.tensor(num_frames), frame_shift)


def test_an_identity_student_gets_every_frame_as_it_is():
    targets = numbered([5, 3], 0.04)
    aligned = align(targets, torch.tensor([5, 3]), 0.04)
    assert torch.equal(aligned.values, targets.values)
    assert aligned.mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2]


@given(
    teacher=st.integers(1, 20),
    student=st.integers(1, 20),
    stacked=st.sampled_from([1, 2, 3]),
    repeated=st.sampled_from([1, 2, 4]),
    delay=st.integers(0, 4),
)
def test_student_frame_meets_the_teacher_frames_of_its_time(teacher, student, stacked, repeated, delay):
    if stacked > 1:
        repeated = 1
    shift = 0.02 * stacked
    aligned = align(numbered([teacher], 0.02 * repeated), torch.tensor([student]), shift, delay=delay)
    for k in range(student):
        first = (k - delay) * stacked // repeated if k >= delay else None
        covered = first is not None and first + stacked <= teacher
        assert bool(aligned.mask[0, k]) == covered
        if covered:
            assert aligned.values[0, k].tolist() == list(range(first, first + stacked))


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [(0.04, 0.04, (1, 1)), (0.04, 0.02, (2, 1)), (0.02, 0.08, (1, 4)), (0.03, 0.01, (3, 1))],
)
def test_ratio_of_rates(student, teacher, expected):
    assert ratio(student, teacher) == expected


def test_rates_that_do_not_meet_are_refused():
    with pytest.raises(ValueError, match="every 40 ms and a target every 30 ms do not meet"):
        ratio(0.04, 0.03)
