"""The codebook objective against its sum written out, the reference package, chance, and hostile padding."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from asrkd.models.encoder import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.codebook import Autoregression, Codebook, CodebookConfig, codebook_cross_entropy
from asrkd.targets.frames import FrameTargets
from tests.quantizer.conftest import hashed

REFERENCE = json.loads((Path(__file__).parent.parent / "quantizer/mvq_fixture.json").read_text())


def source(num_codebooks: int = 2, codebook_size: int = 16) -> SimpleNamespace:
    return SimpleNamespace(num_codebooks=num_codebooks, codebook_size=codebook_size, frame_shift=0.04)


def objective(frame_shift: float = 0.04, num_codebooks: int = 2, **settings: object) -> Codebook:
    torch.manual_seed(0)
    encoder = SimpleNamespace(check_taps=lambda taps: None, layer_dim=lambda tap: 6)
    student = SimpleNamespace(frame_shift=frame_shift, encoder=encoder)
    config = CodebookConfig.model_validate({"targets": "store", "layer": 1} | settings)
    return Codebook(config, source(num_codebooks), student)


def batch(num_frames: list[int], frames: int = 5) -> tuple[RecognizerOutput, torch.Tensor]:
    layer = torch.randn(len(num_frames), frames, 6, generator=torch.Generator().manual_seed(4))
    return RecognizerOutput(torch.zeros(()), torch.tensor(num_frames), {Tap(1): layer}), layer


def stored(num_frames: list[int], width: int = 5) -> FrameTargets:
    values = torch.randint(0, 16, (len(num_frames), width, 2), generator=torch.Generator().manual_seed(9))
    return FrameTargets(values.to(torch.uint8), torch.tensor(num_frames), 0.04)


def by_hand(head: Codebook, layer: torch.Tensor, pairs: list[tuple[int, int, torch.Tensor]]) -> float:
    """Sum of -log softmax over (utterance, student frame, its indexes), one linear row at a time."""
    total = 0.0
    for row, frame, indexes in pairs:
        scores = (head.predict.weight @ layer[row, frame] + head.predict.bias).view(len(indexes), 16)
        total -= sum(float(scores[n].log_softmax(0)[int(i)]) for n, i in enumerate(indexes))
    return total


def test_equals_the_sum_written_out():
    head, (output, layer), targets = objective(), batch([5, 3]), stored([5, 3])
    pairs = [(0, t, targets.values[0, t]) for t in range(5)] + [
        (1, t, targets.values[1, t]) for t in range(3)
    ]
    assert float(head(output, targets)) == pytest.approx(by_hand(head, layer, pairs), rel=1e-5)
    assert head.count(targets, output.num_frames) == 8 * 2


def test_with_delay_d_frame_t_plus_d_predicts_frame_t():
    head, (output, layer), targets = objective(delay=2), batch([5, 3]), stored([5, 3])
    pairs = [(0, t + 2, targets.values[0, t]) for t in range(3)] + [(1, 2, targets.values[1, 0])]
    assert float(head(output, targets)) == pytest.approx(by_hand(head, layer, pairs), rel=1e-5)
    assert head.count(targets, output.num_frames) == 4 * 2


def test_the_tap_before_the_norm_follows_the_config():
    head, targets = objective(tap="before_norm"), stored([5])
    assert head.taps() == [Tap(1, "before_norm")]
    (output, layer), trap = batch([5]), torch.full((1, 5, 6), float("nan"))
    tapped = {Tap(1, "before_norm"): layer, Tap(1): trap}
    found = head(RecognizerOutput(output.logits, output.num_frames, tapped), targets)
    pairs = [(0, t, targets.values[0, t]) for t in range(5)]
    assert float(found) == pytest.approx(by_hand(head, layer, pairs), rel=1e-5)


def test_a_half_rate_student_predicts_two_teacher_frames():
    head, (output, layer), targets = objective(frame_shift=0.08), batch([2]), stored([5])
    pairs = [(0, k, targets.values[0, 2 * k : 2 * k + 2].flatten()) for k in range(2)]
    assert float(head(output, targets)) == pytest.approx(by_hand(head, layer, pairs), rel=1e-5)
    assert head.count(targets, output.num_frames) == 2 * 4


def test_at_chance_an_index_costs_the_log_of_the_size():
    indexes = torch.randint(0, 256, (7, 4))
    assert float(codebook_cross_entropy(torch.zeros(7, 4, 256), indexes)) == pytest.approx(28 * math.log(256))


def test_certainty_about_the_right_index_costs_nothing():
    indexes = torch.randint(0, 8, (7, 4))
    logits = 100.0 * torch.nn.functional.one_hot(indexes, 8).float()
    assert float(codebook_cross_entropy(logits, indexes)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("head_kind", ["independent", "joint"])
def test_padding_changes_neither_value_nor_gradient(head_kind):
    results = []
    for fill in (0.0, float("nan")):
        head, (output, layer), targets = objective(head=head_kind), batch([5, 3]), stored([5, 3])
        layer[1, 3:] = fill
        layer.requires_grad_()
        values = targets.values.clone()
        values[1, 3:] = 15
        loss = head(
            RecognizerOutput(output.logits, output.num_frames, {Tap(1): layer}),
            FrameTargets(values, targets.num_frames, 0.04),
        )
        loss.backward()
        assert not layer.grad[1, 3:].any()
        results.append(
            torch.cat([loss.detach()[None], layer.grad[1, :3].flatten(), head.predict.weight.grad[0]])
        )
    assert torch.equal(*results)


def test_the_joint_head_is_its_recursion_written_out():
    """A frame at a time, in float64: the hidden vector takes up each true index before the next codebook."""
    head, (output, layer), targets = objective(head="joint", hidden_dim=7), batch([5, 3]), stored([5, 3])
    joint = head.joint
    total = 0.0
    for row, count in enumerate([5, 3]):
        for t in range(count):
            x = layer[row, t].double()
            hidden = joint.hidden.weight.double() @ x + joint.hidden.bias
            for c in range(2):
                index = int(targets.values[row, t, c])
                weight, bias = (
                    head.predict.weight[c * 16 : c * 16 + 16],
                    head.predict.bias[c * 16 : c * 16 + 16],
                )
                scores = weight.double() @ x + bias + joint.weight[c].double() @ hidden.clamp(min=0)
                total -= float(scores[index] - scores.exp().sum().log())
                if c == 0:
                    hidden = hidden + 0.5 * math.sqrt(7 / 2) * joint.previous.weight[index]
    assert float(head(output, targets)) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("case", REFERENCE["joint_codebook_loss"], ids=lambda c: str(c["num_codebooks"]))
def test_both_heads_equal_multi_quantizations_loss(case):
    """Parameters are the hash of the fixture's file, seeds 10 to 15; the predictor has seed 20, doubled."""
    count, dim, hidden = (case[name] for name in ("num_codebooks", "predictor_channels", "hidden_channels"))
    shapes = {
        "codebook_embedding.weight": ((count - 1) * 256, hidden),
        "linear1.bias": (hidden,),
        "linear1.weight": (hidden, dim),
        "linear2_bias": (count, 256),
        "linear2_weight": (count, 256, hidden),
        "linear2b_weight": (count, 256, dim),
    }
    theirs = {name: hashed(shapes[name], 10 + n, 1.0) for n, name in enumerate(case["sorted_params"])}
    head = torch.nn.Linear(dim, count * 256)
    head.weight.data, head.bias.data = (
        theirs["linear2b_weight"].flatten(0, 1),
        theirs["linear2_bias"].flatten(),
    )
    frames, indexes = hashed((6, dim), 20, 2.0)[:5], torch.tensor(case["indexes"]).flatten(0, 1)[:5]
    logits = head(frames).unflatten(-1, (count, 256))
    if case["is_joint"]:
        joint = Autoregression(dim, count, 256, hidden)
        joint.load_state_dict(
            {
                "hidden.weight": theirs["linear1.weight"],
                "hidden.bias": theirs["linear1.bias"],
                "weight": theirs["linear2_weight"],
                "previous.weight": theirs["codebook_embedding.weight"],
            }
        )
        logits = logits + joint(frames, indexes)
    assert float(codebook_cross_entropy(logits, indexes)) == pytest.approx(case["loss_sum"], rel=1e-6)


@pytest.mark.parametrize("head", ["independent", "joint"])
@pytest.mark.parametrize("num_codebooks", [1, 2, 3])
def test_every_parameter_of_a_head_gets_a_gradient(head, num_codebooks):
    """Where one does not, DDP waits for it; a single codebook has nothing before it to look at."""
    built, (output, _) = objective(head=head, num_codebooks=num_codebooks), batch([5])
    built(
        output, FrameTargets(torch.ones(1, 5, num_codebooks, dtype=torch.uint8), torch.tensor([5]), 0.04)
    ).backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("head", ["independent", "joint"])
def test_autocast_has_float32_gradients_close_to_float32s(
    head,
):
    """The reference package's head fails here in its backward pass."""
    results = []
    for enabled in (False, True):
        built, (output, layer), targets = objective(head=head, hidden_dim=32), batch([5, 3]), stored([5, 3])
        layer.requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            low = layer.bfloat16() if enabled else layer
            loss = built(RecognizerOutput(output.logits, output.num_frames, {Tap(1): low}), targets)
        assert loss.dtype == torch.float32
        loss.backward()
        grads = [parameter.grad for parameter in built.parameters()]
        assert all(grad.dtype == torch.float32 for grad in grads)
        results.append((float(loss), torch.cat([grad.flatten() for grad in [*grads, layer.grad]])))
    (plain, exact), (low_loss, rounded) = results
    assert low_loss == pytest.approx(plain, rel=5e-3)
    assert float((rounded - exact).norm() / exact.norm()) < 0.02


def test_a_sum_over_parts_of_a_batch_is_the_sum_over_the_whole():
    """As gradient accumulation and several processes divide it."""
    targets, results = stored([5, 3]), []
    for parts in ([slice(0, 2)], [slice(0, 1), slice(1, 2)]):
        head, (output, layer) = objective(head="joint"), batch([5, 3])
        for part in parts:
            some = RecognizerOutput(output.logits, output.num_frames[part], {Tap(1): layer[part]})
            own = FrameTargets(targets.values[part], targets.num_frames[part], 0.04)
            (head(some, own) / head.count(targets, output.num_frames)).backward()
        results.append([parameter.grad for parameter in head.parameters()])
    for whole, summed in zip(*results, strict=True):
        torch.testing.assert_close(summed, whole)
