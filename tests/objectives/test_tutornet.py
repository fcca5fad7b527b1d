"""TutorNet's two quantities against sums written out, the identity case, and hostile padding."""

import math
from types import SimpleNamespace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.representation import Representation, RepresentationConfig, weighted_distance
from asrkd.objectives.softmax import Softmax, posterior_distance
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.dense import PosteriorTargets
from asrkd.targets.writers.arrays import top_tokens


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
    expected = weighted_distance(
        head.project(output.tapped[Tap(1)][0]), targets.values[0, :4].reshape(2, 10), frame_weighting=True
    )
    assert torch.equal(head(output, targets), expected)


def posteriors(log_probs: torch.Tensor, counts: list[int], top_k: int) -> PosteriorTargets:
    kept = [top_tokens(own, top_k) for own in log_probs]
    return PosteriorTargets(
        torch.stack([values for values, _ in kept]),
        torch.stack([tokens.long() for _, tokens in kept]),
        torch.tensor(counts),
    )


@pytest.mark.parametrize("top_k", [2, 7])
def test_the_softmax_distance_is_the_explicit_sum_of_the_paper(top_k):
    logits, teacher, counts = randn(2, 4, 7), randn(2, 4, 7, seed=2).log_softmax(-1), [4, 3]
    total = 0.0
    for row, count in enumerate(counts):
        for t in range(count):
            p, q = teacher[row, t].exp().tolist(), logits[row, t].softmax(-1).tolist()
            best = sorted(range(7), key=lambda v: -p[v])[:top_k]
            total += sum((p[v] - q[v]) ** 2 for v in best)
            total += (sum(p[v] - q[v] for v in range(7) if v not in best)) ** 2
    objective = Softmax(SimpleNamespace(frame_shift=0.04), student())
    output = RecognizerOutput(logits, torch.tensor(counts), {})
    targets = posteriors(teacher, counts, top_k)
    assert float(objective(output, targets)) == pytest.approx(total, rel=1e-5)
    assert objective.count(targets, output.num_frames) == 7


@pytest.mark.parametrize("top_k", [1, 3, 7])
def test_a_student_equal_to_its_teacher_costs_nothing(top_k):
    log_probs = randn(1, 5, 7).log_softmax(-1)
    objective = Softmax(SimpleNamespace(frame_shift=0.04), student())
    output = RecognizerOutput(log_probs, torch.tensor([5]), {})
    assert float(objective(output, posteriors(log_probs, [5], top_k))) == pytest.approx(0, abs=1e-12)


def test_the_distance_is_at_most_two_a_frame():
    sure = torch.eye(3)[[0, 1]]
    worst = posterior_distance(sure, torch.eye(4)[[1, 0]], torch.tensor([[0, 1, 2]] * 2))
    assert float(worst) == pytest.approx(4.0)


def test_padding_changes_neither_value_nor_gradient():
    results = []
    for fill in (0.0, float("nan")):
        layer, logits = randn(2, 4, 6), randn(2, 4, 7)
        hidden, teacher = randn(2, 4, 5), randn(2, 4, 7, seed=2).log_softmax(-1)
        targets = posteriors(teacher, [4, 2], 3)
        for values in (layer, logits, hidden, targets.log_probs):
            values[1, 2:] = fill
        layer.requires_grad_()
        logits.requires_grad_()
        output = RecognizerOutput(logits, torch.tensor([4, 2]), {Tap(1): layer})
        loss = representation()(output, FrameTargets(hidden, torch.tensor([4, 2]), 0.04))
        loss = loss + Softmax(SimpleNamespace(frame_shift=0.04), student())(output, targets)
        loss.backward()
        results.append((loss.detach(), layer.grad[1, :2], logits.grad[1, :2]))
        assert not layer.grad[1, 2:].any()
        assert not logits.grad[1, 2:].any()
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("frame_shift", [0.02, 0.08, 0.03])
def test_posteriors_of_another_rate_are_refused(frame_shift):
    with pytest.raises(AsrkdError, match="objectives, softmax: a student frame every"):
        Softmax(SimpleNamespace(frame_shift=0.04), student(frame_shift))


def test_both_stores_teach_and_other_tokens_are_refused(config, stores, teacher, corpus, tmp_path):
    from asrkd.commands import distill
    from asrkd.commands.distill_request import DistillRequest
    from asrkd.commands.train import TrainOptions, train
    from asrkd.core.stopping import StopRequest
    from asrkd.data.tokens import train_char
    from asrkd.training.metrics import read_metrics

    cuts = (corpus / "cuts_train.jsonl.gz",)
    distill.posterior(DistillRequest(teacher, cuts, tmp_path / "posterior"), 4, "float16", StopRequest())
    distill.hidden(DistillRequest(teacher, cuts, tmp_path / "hidden"), 2, "float16", StopRequest())
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
