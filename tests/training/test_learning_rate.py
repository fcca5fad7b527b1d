"""The learning rate's course by hand-computed values, and what is decayed."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from asrkd.training.config import OptimConfig
from asrkd.training.schedule import learning_rate, make_optimizer


def rates(total: int, **settings: object) -> list[float]:
    config = OptimConfig(**{"lr": 2.0, "warmup_steps": 4, **settings})
    return [learning_rate(step, total, config) for step in range(total + 1)]


def test_the_warm_up_rises_in_equal_steps_to_the_top():
    assert rates(8)[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert rates(8, warmup_steps=0)[0] == 2.0


@pytest.mark.parametrize(
    ("total", "warmup"), [(8, 2), (4000, 1000), (40_000, 10_000), (1_000_000, 10_000), (1, 0)]
)
def test_the_warm_up_is_a_quarter_of_the_schedule_up_to_10_000_steps_by_default(total, warmup):
    config = OptimConfig(lr=2.0)
    found = [learning_rate(step, total, config) for step in range(warmup + 1)]
    assert found == pytest.approx([2.0 * (step + 1) / warmup for step in range(warmup)] + [2.0])


def test_constant_stays_at_the_top():
    assert rates(8, schedule="constant")[4:] == [2.0] * 5


def test_linear_falls_in_equal_steps_to_its_end():
    assert rates(8, schedule="linear")[4:] == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0])
    assert rates(8, schedule="linear", final_lr=0.5)[4:] == pytest.approx([2.0, 1.75, 1.5, 1.25, 1.0])


def test_cosine_schedule_follows_the_cosine():
    found = rates(12, schedule="cosine")[4:]
    assert found == pytest.approx([1 + math.cos(math.pi * k / 8) for k in range(9)])
    assert (found[0], found[4], found[8]) == pytest.approx((2.0, 1.0, 0.0))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_held_share_stays_at_the_top_before_it_falls(schedule):
    found = rates(14, schedule=schedule, hold_share=0.4)[4:]  # 10 steps after the warm-up, 4 held
    assert found[:5] == pytest.approx([2.0] * 5)
    assert found[5] < 2.0
    assert found[7] == pytest.approx(1.0)  # the middle of what is left
    assert found[10] == pytest.approx(0.0, abs=1e-12)


def test_exponential_schedule_falls_by_a_factor_each_epoch():
    config = OptimConfig(lr=2.0, warmup_steps=2, schedule="exponential", epoch_factor=0.5, final_lr=0.25)
    for total in (4, 400):
        found = [learning_rate(step, total, config, epochs=step // 3) for step in range(10)]
        # 2 * (1/4 + 3/4 * 1, 1/2, 1/4, 1/8)
        assert found == pytest.approx([1.0, 2.0, 2.0] + [1.25] * 3 + [0.875] * 3 + [0.6875])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"schedule": "exponential"}, "epoch_factor go together"),
        ({"epoch_factor": 0.99}, "epoch_factor go together"),
        ({"schedule": "exponential", "epoch_factor": 1.0}, "less than 1"),
        (
            {"schedule": "exponential", "epoch_factor": 0.9, "hold_share": 0.1},
            "no effect with schedule: exponential; set hold_share: 0 ",
        ),
        ({"schedule": "exponential", "epoch_factor": 0.9, "decay_share": 0.5}, "; set decay_share: 1 "),
        (
            {"schedule": "constant", "final_lr": 0.1, "hold_share": 0.2},
            "; set hold_share: 0, final_lr: 0 ",
        ),
    ],
)
def test_what_a_schedule_lacks_or_has_no_use_for_is_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        OptimConfig(**settings)


def test_lineages_of_other_schedules_have_no_epoch_factor():
    assert "epoch_factor" not in OptimConfig().model_dump(mode="json")
    exponential = OptimConfig(schedule="exponential", epoch_factor=0.99)
    assert exponential.model_dump(mode="json")["epoch_factor"] == 0.99


def test_a_run_no_longer_than_its_warm_up_still_has_a_rate():
    assert rates(3, warmup_steps=10) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert all(rate > 0 for rate in rates(4, warmup_steps=4)[:4])


def test_matrices_are_decayed_and_vectors_are_not():
    module = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Conv1d(2, 2, 3))
    config = OptimConfig(lr=0.1, weight_decay=0.5)
    optimizer = make_optimizer(dict(module.named_parameters()), config)
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)  # decay alone moves them
    optimizer.step()
    for name, value in module.named_parameters():
        shrink = 1 - 0.1 * 0.5 if value.dim() > 1 else 1.0
        torch.testing.assert_close(value.detach(), shrink * before[name])


def test_an_update_is_adam_by_its_equations():
    """The first step: m / (sqrt(v) + eps) with bias correction is the sign of the gradient."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make_optimizer({"bias": weight}, OptimConfig(lr=0.25, betas=(0.9, 0.98)))
    weight.grad = torch.tensor([3.0, -0.01])
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.75, -1.75]), rtol=0, atol=1e-6)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.98)
