"""Frames of convolutions without padding, held against torch's own convolutions."""

import pytest
import torch

from asrkd.models.frame_timing import hop, num_frames, span

HUBERT = [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]
STACKS = [HUBERT, [(1, 1)], [(3, 2), (5, 3)], [(2, 4), (4, 2), (3, 1)]]


def run(stack, samples: torch.Tensor) -> torch.Tensor:
    """(frames,) of (S,) samples, every kernel all ones."""
    frames = samples[None, None]
    for kernel, stride in stack:
        if frames.shape[2] < kernel:
            return frames[0, 0, :0]
        frames = torch.nn.functional.conv1d(frames, torch.ones(1, 1, kernel), stride=stride)
    return frames[0, 0]


@pytest.mark.parametrize("stack", STACKS)
def test_frames_are_counted_as_torch_makes_them(stack):
    for num_samples in [*range(1, 60), 399, 400, 401, 719, 720, 721, 16000]:
        assert num_frames(stack, num_samples) == len(run(stack, torch.zeros(num_samples))), num_samples


@pytest.mark.parametrize("stack", [HUBERT, [(1, 1)], [(3, 2), (5, 3)], [(4, 2), (3, 1)]])
def test_a_frame_sees_its_span_and_the_next_is_a_hop_later(stack):
    samples = torch.zeros(span(stack) + 2 * hop(stack), requires_grad=True)
    frames = run(stack, samples)
    for number in (0, 1):
        (gradient,) = torch.autograd.grad(frames[number], samples, retain_graph=True)
        (seen,) = gradient.nonzero(as_tuple=True)
        assert (int(seen[0]), int(seen[-1])) == (number * hop(stack), number * hop(stack) + span(stack) - 1)


def test_huberts_frames_are_those_of_the_literature():
    assert (span(HUBERT), hop(HUBERT)) == (400, 320)
    assert [num_frames(HUBERT, n) for n in (399, 400, 16000, 480000)] == [0, 1, 49, 1499]
