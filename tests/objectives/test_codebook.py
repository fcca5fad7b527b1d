"""The codebook objective against its sum written out, chance, certainty, and hostile padding."""

import math
from types import SimpleNamespace

import pytest
import torch

from asrkd.models.conformer import Tap
from asrkd.models.recogniser import RecogniserOutput
from asrkd.objectives.codebook import Codebook, CodebookConfig, codebook_cross_entropy
from asrkd.targets.frames import FrameTargets

SOURCE = SimpleNamespace(num_codebooks=2, codebook_size=16, stacking=lambda shift: round(shift / 0.04))


def objective(delay: int = 0, frame_shift: float = 0.04) -> Codebook:
    torch.manual_seed(0)
    encoder = SimpleNamespace(check_taps=lambda taps: None)
    student = SimpleNamespace(frame_shift=frame_shift, dim=6, encoder=encoder)
    return Codebook(CodebookConfig(targets="store", layer=1, delay=delay), SOURCE, student)


def batch(num_frames: list[int], frames: int = 5) -> tuple[RecogniserOutput, torch.Tensor]:
    layer = torch.randn(len(num_frames), frames, 6, generator=torch.Generator().manual_seed(4))
    return RecogniserOutput(torch.zeros(()), torch.tensor(num_frames), {Tap(1): layer}), layer


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


def test_a_delay_lets_student_frame_t_plus_d_predict_teacher_frame_t():
    head, (output, layer), targets = objective(delay=2), batch([5, 3]), stored([5, 3])
    pairs = [(0, t + 2, targets.values[0, t]) for t in range(3)] + [(1, 2, targets.values[1, 0])]
    assert float(head(output, targets)) == pytest.approx(by_hand(head, layer, pairs), rel=1e-5)
    assert head.count(targets, output.num_frames) == 4 * 2


def test_a_student_of_half_the_rate_predicts_two_teacher_frames_at_once():
    head, (output, layer), targets = objective(frame_shift=0.08), batch([2]), stored([5])
    pairs = [(0, k, targets.values[0, 2 * k : 2 * k + 2].flatten()) for k in range(2)]
    assert float(head(output, targets)) == pytest.approx(by_hand(head, layer, pairs), rel=1e-5)
    assert head.count(targets, output.num_frames) == 2 * 4


def test_at_chance_an_index_costs_the_logarithm_of_the_codebook_size():
    indexes = torch.randint(0, 256, (7, 4))
    assert float(codebook_cross_entropy(torch.zeros(7, 4, 256), indexes)) == pytest.approx(28 * math.log(256))


def test_certainty_about_the_right_index_costs_nothing():
    indexes = torch.randint(0, 8, (7, 4))
    logits = 100.0 * torch.nn.functional.one_hot(indexes, 8).float()
    assert float(codebook_cross_entropy(logits, indexes)) == pytest.approx(0.0, abs=1e-6)


def test_padding_changes_neither_value_nor_gradient():
    results = []
    for fill in (0.0, float("nan")):
        head, (output, layer), targets = objective(), batch([5, 3]), stored([5, 3])
        layer[1, 3:] = fill
        layer.requires_grad_()
        values = targets.values.clone()
        values[1, 3:] = 15
        loss = head(
            RecogniserOutput(output.logits, output.num_frames, {Tap(1): layer}),
            FrameTargets(values, targets.num_frames, 0.04),
        )
        loss.backward()
        assert not layer.grad[1, 3:].any()
        results.append(
            torch.cat([loss.detach()[None], layer.grad[1, :3].flatten(), head.predict.weight.grad[0]])
        )
    assert torch.equal(*results)
