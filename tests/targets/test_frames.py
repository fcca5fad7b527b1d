"""Frame rates, offsets and delays against index arithmetic written out, and against a search."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrkd.targets.frames import FrameTargets, align, aligned_mask, frames_within


def numbered(num_frames: list[int], frame_shift: float) -> FrameTargets:
    """Values that say which frame they are of: utterance * 100 + frame."""
    width = max(num_frames)
    values = torch.arange(width)[None, :, None] + 100 * torch.arange(len(num_frames))[:, None, None]
    return FrameTargets(values, torch.tensor(num_frames), frame_shift)


def test_an_identity_student_gets_every_frame_as_it_is():
    targets = numbered([5, 3], 0.04)
    aligned = align(targets, torch.tensor([5, 3]), 0.04)
    assert torch.equal(aligned.values[aligned.mask], torch.cat([targets.values[0], targets.values[1, :3]]))
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


@given(
    student_ms=st.integers(10, 100),
    teacher_ms=st.integers(10, 100),
    teacher=st.integers(1, 30),
    student=st.integers(1, 30),
)
def test_unequal_rates_take_the_frame_with_nearest_center(student_ms, teacher_ms, teacher, student):
    """By trying all windows."""
    width = max(1, student_ms // teacher_ms)
    targets = numbered([teacher], teacher_ms / 1000)
    aligned = align(targets, torch.tensor([student]), student_ms / 1000)
    for k in range(student):
        middle = (2 * k + 1) * student_ms  # all in half milliseconds, whole numbers
        distances = {first: abs((2 * first + width) * teacher_ms - middle) for first in range(-9, 320)}
        nearest = min(distances.values())
        best = max(first for first, distance in distances.items() if distance == nearest)
        covered = best >= 0 and best + width <= teacher
        assert bool(aligned.mask[0, k]) == covered
        if covered:
            assert aligned.values[0, k].tolist() == list(range(best, best + width))


def test_an_utterance_without_teacher_frames_has_no_targets():
    empty = FrameTargets(torch.zeros(1, 0, 3, dtype=torch.uint8), torch.tensor([0]), 0.02)
    aligned = align(empty, torch.tensor([2]), 0.04)
    assert aligned.values.shape == (1, 2, 6)
    assert not aligned.mask.any()
    assert torch.equal(aligned.mask, aligned_mask(empty, torch.tensor([2]), 0.04))


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [(0.04, 0.04, 1), (0.04, 0.02, 2), (0.02, 0.08, 1), (0.03, 0.01, 3), (0.05, 0.02, 2), (0.04, 0.03, 1)],
)
def test_a_student_frame_takes_all_teacher_frames_within_it(student, teacher, expected):
    assert frames_within(student, teacher) == expected
