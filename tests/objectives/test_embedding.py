"""Regression of embeddings against sums written out in float64, the identity case, and hostile padding."""

from types import SimpleNamespace

import pytest
import torch

from asrkd.core import config
from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.embedding import Embedding, EmbeddingConfig, embedding_distance
from asrkd.targets.frames import FrameTargets

COUNTS = [4, 2]


def randn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def objective(frame_shift: float = 0.04, **settings: object) -> Embedding:
    torch.manual_seed(0)
    encoder = SimpleNamespace(check_taps=lambda taps: None, layer_dim=lambda tap: 6)
    student = SimpleNamespace(frame_shift=frame_shift, encoder=encoder)
    whole = EmbeddingConfig.model_validate({"targets": "store", "layer": 1} | settings)
    return Embedding(whole, SimpleNamespace(dim=5, frame_shift=0.04), student)


def output_of(layer: torch.Tensor, counts: list[int], place: str = "after_norm") -> RecognizerOutput:
    return RecognizerOutput(torch.zeros(()), torch.tensor(counts), {Tap(1, place): layer})


@pytest.mark.parametrize("distance", ["absolute", "squared"])
@pytest.mark.parametrize("clamp", [None, (-0.5, 0.25)])
def test_the_distance_is_the_explicit_sum(distance, clamp):
    head, layer, teacher = objective(distance=distance, clamp=clamp), randn(2, 4, 6), randn(2, 4, 5, seed=2)
    total = 0.0
    for row, count in enumerate(COUNTS):
        for t in range(count):
            for d in range(5):
                wanted = float(teacher[row, t, d])
                if clamp:
                    wanted = min(max(wanted, clamp[0]), clamp[1])
                said = float(head.project.weight[d].double() @ layer[row, t].double() + head.project.bias[d])
                total += abs(wanted - said) if distance == "absolute" else (wanted - said) ** 2
    targets = FrameTargets(teacher, torch.tensor(COUNTS), 0.04)
    assert float(head(output_of(layer, COUNTS), targets)) == pytest.approx(total, rel=1e-5)
    assert head.count(targets, torch.tensor(COUNTS)) == 6 * 5


@pytest.mark.parametrize("distance", ["absolute", "squared"])
def test_a_projection_equal_to_the_teacher_costs_nothing(distance):
    teacher = randn(7, 5)
    assert float(embedding_distance(teacher, teacher, distance)) == 0.0
    head, layer = objective(distance=distance), randn(1, 4, 6)
    with torch.no_grad():
        same = FrameTargets(head.project(layer), torch.tensor([4]), 0.04)
    assert float(head(output_of(layer, [4]), same)) == pytest.approx(0.0, abs=1e-9)


def test_squared_is_without_a_root_and_absolute_grows_linearly():
    near, far = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert float(embedding_distance(near, far, "squared")) == 25.0
    assert float(embedding_distance(near, far, "absolute")) == 7.0


def test_a_half_rate_student_matches_two_teacher_frames():
    head, layer = objective(frame_shift=0.08, tap="before_norm"), randn(1, 2, 6)
    teacher = randn(1, 5, 5, seed=2)
    expected = embedding_distance(head.project(layer[0]), teacher[0, :4].reshape(2, 10), "squared")
    targets = FrameTargets(teacher, torch.tensor([5]), 0.04)
    assert torch.equal(head(output_of(layer, [2], "before_norm"), targets), expected)


@pytest.mark.parametrize("distance", ["absolute", "squared"])
def test_padding_changes_neither_value_nor_gradient(distance):
    results = []
    for fill in (0.0, float("nan")):
        head, layer, teacher = objective(distance=distance), randn(2, 4, 6), randn(2, 4, 5, seed=2)
        layer[1, 2:], teacher[1, 2:] = fill, fill
        layer.requires_grad_()
        loss = head(output_of(layer, COUNTS), FrameTargets(teacher, torch.tensor(COUNTS), 0.04))
        loss.backward()
        assert not layer.grad[1, 2:].any()
        results.append((loss.detach(), layer.grad[1, :2], head.project.weight.grad))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_under_autocast_the_distance_is_close_to_float32s():
    losses = []
    for enabled in (False, True):
        head, layer, teacher = objective(), randn(2, 4, 6), randn(2, 4, 5, seed=2)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = head(output_of(layer, COUNTS), FrameTargets(teacher, torch.tensor(COUNTS), 0.04))
        loss.backward()
        assert head.project.weight.grad.dtype == loss.dtype == torch.float32
        losses.append(float(loss))
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_a_clamp_upside_down_is_refused_with_what_was_expected():
    with pytest.raises(AsrkdError, match="x: clamp: |x: .*clamp .*expected the lowest first"):
        config.parse(EmbeddingConfig, {"targets": "s", "layer": 1, "clamp": [3, -2]}, "x")
