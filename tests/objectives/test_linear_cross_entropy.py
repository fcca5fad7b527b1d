"""Loss and gradients that are worked out on the way, against torch's own differentiation."""

import pytest
import torch
from torch import Tensor

from asrkd.objectives import linear_cross_entropy as module
from asrkd.objectives.linear_cross_entropy import linear_cross_entropy


def example(frames: int = 7, dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor]:
    """Frames (7, 5), weight (3 * 4, 5) and bias, and indexes (7, 3)."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(frames, 5), (12, 5), (12,)]
    given = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    return [own.requires_grad_() for own in given], torch.randint(0, 4, (frames, 3), generator=generator)


def plain(frames: Tensor, weight: Tensor, bias: Tensor, indexes: Tensor) -> Tensor:
    scores = torch.nn.functional.linear(frames, weight, bias).float().view(-1, 4)
    return torch.nn.functional.cross_entropy(scores, indexes.flatten(), reduction="sum")


@pytest.mark.parametrize("at_once", [1, 24, 36, 2**22])
def test_value_and_gradients_hold_for_any_chunk_size(monkeypatch, at_once):
    """Gradients against differences of values, in float64."""
    monkeypatch.setattr(module, "MAX_SCORES", at_once)
    given, indexes = example()
    expected = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*given).view(-1, 4), indexes.flatten(), reduction="sum"
    )
    found = linear_cross_entropy(*given, indexes).detach()
    assert float(found) == pytest.approx(float(expected.detach()), rel=1e-12)
    assert torch.autograd.gradcheck(lambda *own: 0.3 * linear_cross_entropy(*own, indexes), given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_it_equals_linear_and_cross_entropy(dtype):
    results = []
    for function in (plain, linear_cross_entropy):
        given, indexes = example(dtype=torch.float32)
        low = given[0].to(dtype)  # as a layer under autocast gives it
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = function(low, given[1], given[2], indexes)
        assert loss.dtype == torch.float32
        (loss / 21).backward()
        assert all(own.grad.dtype == torch.float32 for own in given)
        results.append([loss.detach(), *(own.grad for own in given)])
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 0.02, "atol": 2e-3}
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, **close)


def test_scores_that_are_far_apart_neither_overflow_nor_vanish():
    weight, indexes = torch.tensor([[1000.0], [-1000.0]]), torch.tensor([[0], [1]])
    given = [torch.ones(2, 1).requires_grad_(), weight.requires_grad_(), torch.zeros(2).requires_grad_()]
    loss = linear_cross_entropy(*given, indexes)
    loss.backward()
    assert float(loss) == 2000.0
    assert given[1].grad.tolist() == [[1.0], [-1.0]]


def test_the_value_is_the_same_without_gradients_or_frames():
    given, indexes = example()
    with torch.no_grad():
        assert float(linear_cross_entropy(*given, indexes)) == float(linear_cross_entropy(*given, indexes))
    given, indexes = example(frames=0)
    loss = linear_cross_entropy(*given, indexes)
    loss.backward()
    assert float(loss) == 0.0
    assert not given[1].grad.any()
