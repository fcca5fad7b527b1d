"""Multiply-adds against counts by hand, on both generations of torch, and operators that nobody knows."""

import pytest
import torch
from torch import nn

from asrkd.evaluation.costs.multiply_adds import count_multiply_adds
from asrkd.models.config import Architecture
from asrkd.models.recognizer import Recognizer


def total(module: object, *arguments: torch.Tensor) -> int:
    """The count of a call, of which all operators are known."""
    found = count_multiply_adds(lambda: module(*arguments))
    assert not found.uncounted
    assert found.total == sum(found.by_operator.values())
    return found.total


@pytest.mark.parametrize(
    ("module", "shape", "by_hand"),
    [
        (nn.Linear(7, 5), (7,), 7 * 5),
        (nn.Linear(7, 5), (2, 3, 7), 2 * 3 * 7 * 5),
        (nn.Linear(7, 5, bias=False), (3, 7), 3 * 7 * 5),
        (nn.Conv1d(6, 4, 3), (2, 6, 10), 2 * 8 * 4 * 6 * 3),
        (nn.Conv1d(6, 4, 3, stride=2, padding=1, dilation=2), (1, 6, 11), 5 * 4 * 6 * 3),
        (nn.Conv1d(6, 6, 5, groups=6, padding="same"), (1, 6, 9), 9 * 6 * 5),  # depthwise
        (nn.Conv1d(6, 4, 3, groups=2), (1, 6, 10), 8 * 4 * 3 * 3),
        (nn.Conv2d(1, 8, 3, stride=2), (2, 1, 21, 80), 2 * 10 * 39 * 8 * 9),
        (nn.Conv2d(4, 8, (3, 5), padding=(1, 0)), (1, 4, 6, 9), 6 * 5 * 8 * 4 * 15),
        (nn.ConvTranspose1d(6, 4, 3, stride=2), (1, 6, 10), 10 * 6 * 4 * 3),
        (nn.ConvTranspose2d(6, 4, 3, groups=2), (1, 6, 5, 5), 25 * 6 * 2 * 9),
        (nn.RNN(3, 4), (6, 2, 3), 6 * 2 * 4 * (3 + 4)),
        (nn.GRU(3, 4), (6, 2, 3), 6 * 2 * 3 * 4 * (3 + 4)),
        (nn.LSTM(3, 4), (6, 2, 3), 6 * 2 * 4 * 4 * (3 + 4)),
        (nn.LSTM(3, 4, 2, bidirectional=True), (6, 2, 3), 6 * 2 * 2 * 16 * ((3 + 4) + (8 + 4))),
        (nn.Sequential(nn.LayerNorm(8), nn.SiLU(), nn.Dropout(), nn.Softmax(-1)), (5, 8), 0),
    ],
)
def test_layers_cost_what_a_hand_counts(module, shape, by_hand):
    assert total(module.eval(), torch.randn(shape)) == by_hand


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_functions_cost_what_a_hand_counts_whatever_the_mode(context):
    a, b, v = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(4)

    def forward() -> None:
        with context():
            a @ b  # 2 x 3 x 4 x 5
            a[0] @ v  # 3 x 4
            torch.einsum("nij,njk->nik", a, b)  # 2 x 3 x 4 x 5
            torch.dot(v, v)  # 4
            torch.addmm(torch.zeros(3, 5), a[0], b[0])  # 3 x 4 x 5
            nn.functional.linear(a, torch.randn(6, 4))  # 2 x 3 x 4 x 6
            nn.functional.conv1d(a, torch.randn(2, 3, 2))  # 2 x 3 places x 2 x 3 x 2
            a * a + a

    assert total(forward) == 120 + 12 + 120 + 4 + 60 + 144 + 72


def test_attention_costs_its_projections_scores_and_mixture():
    """N 2, L 5, E 16: four projections of L E E, and two products of L L E."""
    frames = torch.randn(2, 5, 16)
    by_hand = 2 * (4 * 5 * 16 * 16 + 2 * 5 * 5 * 16)
    attention = nn.MultiheadAttention(16, 4, batch_first=True)
    for module in (attention.train(), attention.eval()):  # the latter is one operator to torch
        assert total(module, frames, frames, frames) == by_hand
    keys = torch.randn(2, 9, 16)
    by_hand = 2 * (2 * 5 * 16 * 16 + 2 * 9 * 16 * 16 + 2 * 5 * 9 * 16)
    assert total(attention, frames, keys, keys) == by_hand
    layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
    by_hand = 2 * (4 * 5 * 16 * 16 + 2 * 5 * 5 * 16 + 2 * 5 * 16 * 24)
    for module in (layer.train(), layer.eval()):
        assert total(module, frames) == by_hand


def test_fused_attention_costs_what_its_parts_cost():
    fused = getattr(nn.functional, "scaled_dot_product_attention", None)
    if fused is None:
        pytest.skip("this torch has no scaled_dot_product_attention")
    query, key, value = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 7, 8), torch.randn(2, 4, 7, 8)
    assert total(fused, query, key, value) == 2 * 4 * 5 * 7 * (8 + 8)


def test_a_recognizer_costs_what_its_config_says():
    """A Conformer of two layers, D 16, 4-fold subsampling, by the formulas of its paper's figure."""
    described = {
        "conformer": {
            "num_layers": 2, "dim": 16, "num_heads": 2, "feed_forward_dim": 24, "kernel_size": 5,
            "front_end_channels": 3,
        },
        "features": {"type": "fbank", "num_features": 8, "frame_shift": 0.01, "sampling_rate": 8000},
        "num_tokens": 11,
    }  # fmt: skip
    recognizer = Recognizer(Architecture.model_validate(described)).eval()
    features, frames = torch.randn(1, 40, 8), 10
    layer = 2 * 2 * 16 * 24 + 4 * 16 * 16 + 2 * frames * 16 + 3 * 16 * 16 + 5 * 16
    front_end = 20 * 4 * 3 * 9 + 10 * 2 * 3 * 3 * 9 + frames * 6 * 16
    found = total(recognizer, features, torch.tensor([40]))
    assert found == front_end + 2 * frames * layer + frames * 16 * 11


def test_an_operator_that_nobody_knows_is_named():
    library = torch.library.Library("asrkd_test", "DEF")
    library.define("secret(Tensor a, Tensor b) -> Tensor")
    library.impl("secret", lambda a, b: a + b, "CPU")
    library.define("lonely(Tensor a) -> Tensor")
    library.impl("lonely", lambda a: a + 1, "CPU")
    a = torch.randn(4, 4)
    found = count_multiply_adds(lambda: torch.ops.asrkd_test.secret(a, a @ a))
    assert found.uncounted == {"asrkd_test::secret"}
    assert found.total == 64
    assert count_multiply_adds(lambda: torch.ops.asrkd_test.lonely(a)).uncounted == {"asrkd_test::lonely"}
    assert count_multiply_adds(lambda: torch.fft.rfft(a)).uncounted
    assert count_multiply_adds(lambda: torch.cdist(a, a)).uncounted
    assert count_multiply_adds(lambda: torch.linalg.inv(a)).uncounted


def test_moving_and_element_wise_work_is_free():
    a, b = torch.randn(4, 4), torch.randn(4, 4)

    def forward() -> None:
        torch.cat([a, b]).masked_fill(torch.cat([b, a]) > 0, 0.0)
        torch.where(a > b, a, b).softmax(-1).cumsum(0)
        torch.maximum(a, b).copy_(a).mul_(b).add_(b)
        nn.functional.embedding(torch.tensor([1, 2]), a)
        a[:, torch.tensor([1, 3])].gather(1, torch.zeros(4, 1, dtype=torch.long))

    assert total(forward) == 0
