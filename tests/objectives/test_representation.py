"""TutorNet's distance of representations: sums written out, the identity case, and hostile padding."""

import math
from types import SimpleNamespace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.representation import Representation, RepresentationConfig, weighted_distance
from asrkd.targets.frames import FrameTargets


def randn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def student(frame_shift: float = 0.04) -> SimpleNamespace:
    return SimpleNamespace(
        frame_shift=frame_shift,
        encoder=SimpleNamespace(check_taps=lambda taps: None, layer_dim=lambda tap: 6),
    )


def representation(*, frame_weighting: bool = True, frame_shift: float = 0.04) -> Representation:
    torch.manual_seed(0)
    settings = RepresentationConfig(targets="store", layer=1, frame_weighting=frame_weighting)
    return Representation(settings, SimpleNamespace(dim=5, frame_shift=0.04), student(frame_shift))


@pytest.mark.parametrize("frame_weighting", [True, False])
def test_the_representation_is_the_papers_sum_written_out(frame_weighting):
    head, layer, teacher = representation(frame_weighting=frame_weighting), randn(2, 4, 6), randn(2, 4, 5)
    counts = [4, 2]
    output = RecognizerOutput(torch.zeros(()), torch.tensor(counts), {Tap(1): layer})
    total = 0.0
    for row, count in enumerate(counts):
        for t in range(count):
            mean = sum(float(v) for v in teacher[row, t]) / 5
            weight = 1 / (1 + math.exp(-mean)) if frame_weighting else 1.0
            for d in range(5):
                mapped = float(head.project.weight[d] @ layer[row, t] + head.project.bias[d])
                total += (weight * (float(teacher[row, t, d]) - mapped)) ** 2
    targets = FrameTargets(teacher, torch.tensor(counts), 0.04)
    assert float(head(output, targets)) == pytest.approx(total, rel=1e-5)
    assert head.count(targets, output.num_frames) == 6 * 5


def test_a_student_whose_layer_is_the_teachers_costs_nothing():
    teacher = randn(7, 5)
    assert float(weighted_distance(teacher, teacher, frame_weighting=True)) == 0.0


def test_a_half_rate_student_matches_two_teacher_frames():
    head = representation(frame_shift=0.08)
    output = RecognizerOutput(torch.zeros(()), torch.tensor([2]), {Tap(1): randn(1, 2, 6)})
    targets = FrameTargets(randn(1, 5, 5), torch.tensor([5]), 0.04)
    total, mapped = 0.0, head.project(output.tapped[Tap(1)][0])  # (2, 10)
    for t in range(4):  # each with its own weight, as the paper's
        teacher = targets.values[0, t].tolist()
        weight = 1 / (1 + math.exp(-sum(teacher) / 5))
        for d in range(5):
            total += (weight * (teacher[d] - float(mapped[t // 2, 5 * (t % 2) + d]))) ** 2
    assert float(head(output, targets)) == pytest.approx(total, rel=1e-5)


def test_what_a_constant_costs_is_measured_as_a_half_rate_student_is_taught():
    head, targets = representation(frame_shift=0.08), FrameTargets(randn(1, 6, 5), torch.tensor([6]), 0.04)
    head.measure([targets])
    with torch.no_grad():
        head.project.weight.zero_()  # the constant alone
    output = RecognizerOutput(torch.zeros(()), torch.tensor([3]), {Tap(1): randn(1, 3, 6)})
    loss = head(output, targets) / head.count(targets, output.num_frames)
    assert float(loss) == pytest.approx(float(head.of_constant), rel=1e-5)


def test_padding_changes_neither_value_nor_gradient():
    results = []
    for fill in (0.0, float("nan")):
        layer, hidden = randn(2, 4, 6), randn(2, 4, 5)
        for values in (layer, hidden):
            values[1, 2:] = fill
        layer.requires_grad_()
        output = RecognizerOutput(torch.zeros(()), torch.tensor([4, 2]), {Tap(1): layer})
        loss = representation()(output, FrameTargets(hidden, torch.tensor([4, 2]), 0.04))
        loss.backward()
        results.append((loss.detach(), layer.grad[1, :2]))
        assert not layer.grad[1, 2:].any()
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_both_stores_teach_and_other_tokens_are_refused(config, stores, teacher, corpus, tmp_path):
    from asrkd.commands import distill
    from asrkd.commands.distill_request import DistillRequest
    from asrkd.commands.train import TrainOptions, train
    from asrkd.core.stopping import StopRequest
    from asrkd.data.tokens import train_char
    from asrkd.training.metrics import read_metrics

    cuts = (corpus / "cuts_train.jsonl.gz",)
    distill.posterior(DistillRequest(teacher, cuts, tmp_path / "posterior"), 4, "float16", StopRequest())
    hidden = DistillRequest(teacher, cuts, tmp_path / "hidden")
    distill.hidden(hidden, 2, "float16", StopRequest(), "before_norm")  # after it, frame weights are alike
    phases = (
        f"phases=[{{steps: 3, objectives: [{{representation: {{targets: {tmp_path}/hidden, layer: 2}}}}]}}, "
        f"{{steps: 3, objectives: [ctc, {{softmax: {{targets: {tmp_path}/posterior, scale: 0.25}}}}]}}]"
    )
    train(config, tmp_path / "run", [phases], TrainOptions("cpu", threads=1), StopRequest())
    assert read_metrics(tmp_path / "run/metrics.jsonl")[-1]["kind"] == "end"
    train_char(["NO YES ON OFF XYZ"]).save(tmp_path / "tokens")
    with pytest.raises(AsrkdError, match="posterior: its posteriors are over other tokens"):
        overrides = [phases, f"data.tokens={tmp_path}/tokens"]
        train(config, tmp_path / "other", overrides, TrainOptions("cpu", threads=1), StopRequest())
    assert not (tmp_path / "other").exists()
