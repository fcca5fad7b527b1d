"""Full-sum distillation: the distance of log P of whole sequences, written out alignment by alignment."""

import math
from pathlib import Path

import pytest
import torch
from lhotse import MonoCut, Recording
from pydantic import ValidationError

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import train_char
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.full_sum import KIND, FullSum, FullSumConfig, normalized_log_probs
from asrkd.targets.sequences import SequenceTargets, collate
from tests.models.small import recognizer
from tests.nbest_lists import nbest, write_nbest_store
from tests.objectives.test_transducer import (
    LOSSES,
    NUM_FRAMES,
    by_alignments,
    log_probs_at,
    output,
    student,
)

SEQUENCES = [[[1, 2, 3], [4], [4, 1]], [[5, 5]], [[]]]
WEIGHTS = [[0.25, 2.0, 0.5], [1.0], [0.5]]
TEACHER = [[-3.0, -9.5, -30.0], [-6.0], [-0.5]]


@pytest.fixture
def encoded() -> torch.Tensor:
    """(N=3, T=6, D=16)"""
    return torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(1))


def objective(model, loss: str = "full", **settings) -> FullSum:
    """In evaluation, with a prune range that prunes nothing."""
    torch.manual_seed(5)
    return FullSum(FullSumConfig(targets="exp/nbest", loss=loss, prune_range=5, **settings), model).eval()


def targets(log_probs: list[list[float]] = TEACHER) -> SequenceTargets:
    return collate(SEQUENCES, WEIGHTS, log_probs)


def student_log_probs(model, frames: torch.Tensor) -> list[list[float]]:
    return [
        [by_alignments(log_probs_at(model, frames, row, tokens), tokens) for tokens in of_utterance]
        for row, of_utterance in enumerate(SEQUENCES)
    ]


def posterior(log_probs: list[float]) -> list[float]:
    total = math.log(sum(map(math.exp, log_probs)))
    return [log_prob - total for log_prob in log_probs]


def by_hand(teacher: list[list[float]], ours: list[list[float]]) -> float:
    return sum(
        weight * abs(one - other)
        for row, of_utterance in enumerate(WEIGHTS)
        for weight, one, other in zip(of_utterance, teacher[row], ours[row], strict=True)
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalized", [False, True])
def test_the_loss_is_the_weighted_distance_of_the_sums_over_all_alignments(loss, normalized, encoded):
    model = student()
    built = objective(model, loss, normalized=normalized)
    value = float(built(output(encoded), targets()).detach())
    teacher, ours = TEACHER, student_log_probs(model, encoded)
    if normalized:
        teacher, ours = ([posterior(each) for each in lists] for lists in (teacher, ours))
    assert value == pytest.approx(by_hand(teacher, ours), rel=1e-5)
    assert built.count(targets(), NUM_FRAMES) == pytest.approx((3 + 1 + 2) / 3 + 2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalized", [False, True])
def test_a_student_that_is_its_teacher_has_no_loss(loss, normalized, encoded):
    model = student()
    same = targets(student_log_probs(model, encoded))
    value = objective(model, loss, normalized=normalized)(output(encoded), same)
    assert float(value.detach()) == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_normalized_lists_do_not_depend_on_a_constant(loss, encoded):
    model = student()
    moved = targets([[log_prob - 7 for log_prob in TEACHER[0]], [-1.0], [-40.0]])
    built = objective(model, loss, normalized=True)
    torch.testing.assert_close(built(output(encoded), targets()), built(output(encoded), moved))
    alone = objective(model, loss)
    assert float(alone(output(encoded), targets())) != float(alone(output(encoded), moved))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalized", [False, True])
def test_gradients_are_finite_differences(loss, normalized, encoded):
    model = student()
    built = objective(model, loss, normalized=normalized)
    frames = encoded.clone().requires_grad_()
    built(output(frames), targets()).backward()
    for place in [(0, 0, 3), (1, 2, 0), (2, 3, 15), (0, 5, 7)]:
        values = []
        for step in (1e-2, -1e-2):
            moved = encoded.clone()
            moved[place] += step
            values.append(float(built(output(moved), targets()).detach()))
        assert float(frames.grad[place]) == pytest.approx((values[0] - values[1]) / 2e-2, abs=2e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalized", [False, True])
def test_nan_in_padding_changes_neither_value_nor_gradient(loss, normalized, encoded):
    model = student()
    built = objective(model, loss, normalized=normalized)
    results = []
    for garbage in (0.0, math.nan):
        frames = encoded.clone()
        frames[1, 3:], frames[2, 4:] = garbage, garbage
        frames.requires_grad_()
        value = built(output(frames), targets())
        value.backward()
        results.append((value, frames.grad))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("normalized", [False, True])
def test_sequences_that_one_of_the_two_cannot_align_are_left_out(normalized, encoded):
    built = objective(student(), normalized=normalized)
    listed = collate([[[1] * 7, [2], [3], [4]], [[5]], []], None, [[-1.0, -2.0, -3.0, -math.inf], [-1.0], []])
    kept = collate([[[2], [3]], [[5]], []], [[0.25, 0.25], [1.0], []], [[-2.0, -3.0], [-1.0], []])
    torch.testing.assert_close(built(output(encoded), listed), built(output(encoded), kept))
    assert built.count(listed, NUM_FRAMES) == 0.5 + 1


def test_without_sequences_there_is_no_loss(encoded):
    built = objective(student(), normalized=True)
    assert float(built(output(encoded), collate([[], [], []], [[], [], []], [[], [], []]))) == 0


def test_a_list_of_impossible_probabilities_has_finite_ones():
    normalized = normalized_log_probs(torch.tensor([-2000.0, -2001.0, -5.0]), torch.tensor([0, 0, 2]), 3)
    expected = [-math.log1p(math.exp(-1)), -1 - math.log1p(math.exp(-1)), 0.0]
    assert normalized.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", ["pruned"])
def test_the_simple_loss_trains_its_maps_alone(loss, encoded):
    pytest.importorskip("k2", reason="needs k2: run the tests on the k2 stack, STACK=k2 make test")
    model = student()
    built = objective(model, loss, warmup_updates=0, simple_scale=1.0).train()
    frames = encoded.clone().requires_grad_()
    built(output(frames), targets()).backward()
    assert built.am.weight.grad.abs().sum() > 0 and built.lm.weight.grad.abs().sum() > 0
    other = encoded.clone().requires_grad_()
    objective(model, loss)(output(other), targets()).backward()
    torch.testing.assert_close(frames.grad, other.grad)


def test_the_teachers_probabilities_are_those_of_the_store(tmp_path):
    cuts = [MonoCut(f"c{n}", 0, 2.0, 0, recording=Recording(f"r{n}", [], 8000, 16000, 2.0)) for n in (0, 1)]
    lists = [nbest(["YES", "NO"], [-1.0, -2.5]), nbest(["NO"], [-0.25])]
    meaning = "log P(token sequence | audio) in nats under the transducer, over all alignments, exact"
    store = write_nbest_store(tmp_path, cuts, lists, score=meaning)
    source = KIND.source(FullSumConfig(targets=str(store)), train_char(["YES NO"]))
    fetched = source.fetch(cuts)
    assert fetched.log_prob.tolist() == [-1.0, -2.5, -0.25]
    assert fetched.take(torch.tensor([2, 0])).log_prob.tolist() == [-0.25, -1.0]
    assert fetched.to(torch.device("cpu")).log_prob.tolist() == [-1.0, -2.5, -0.25]


@pytest.mark.parametrize("meaning", [None, "ctc_weight * log P by CTC + the rest"])
def test_a_store_of_other_scores_is_refused(meaning, tmp_path):
    contract = {} if meaning is None else {"score": meaning}
    store: Path = write_nbest_store(tmp_path, [], [], **contract)
    with pytest.raises(
        AsrkdError, match="^objectives, full_sum: the scores of .* are .*: expected log P"
    ) as error:
        KIND.source(FullSumConfig(targets=str(store)), train_char(["YES NO"]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [{}, {"targets": "x", "normalized": True, "expand": True}])
def test_settings_without_a_list_are_refused(wrong):
    with pytest.raises(ValidationError):
        FullSumConfig(**wrong)


def test_a_model_without_a_transducer_is_refused():
    with pytest.raises(AsrkdError, match="objectives, full_sum: the model has no transducer; give it one"):
        objective(recognizer("conformer", None, ctc=True))


def test_targets_without_a_teacher_are_refused(encoded):
    with pytest.raises(ValueError, match="the teacher's log P"):
        objective(student())(RecognizerOutput(None, NUM_FRAMES, {}, encoded), collate(SEQUENCES, WEIGHTS))
