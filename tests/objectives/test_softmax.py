"""TutorNet's squared distance of posteriors: sums by hand, bounds of stores of some tokens, and padding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.objectives.softmax import Softmax, SoftmaxConfig, posterior_distance
from asrkd.targets.posteriors import top_tokens
from tests.objectives.posteriors import COUNTS, V, check_padding, output_of, randn, source, student, top


def objective(**changes: object) -> Softmax:
    return Softmax(SoftmaxConfig.model_validate({"targets": "store"} | changes), source(), student())


@pytest.mark.parametrize("top_k", [2, 7])
def test_the_distance_is_the_explicit_sum_of_the_paper(top_k):
    logits, teacher, counts = randn(2, 4, V), randn(2, 4, V, seed=2).log_softmax(-1), [4, 3]
    total = 0.0
    for row, count in enumerate(counts):
        for t in range(count):
            p, q = teacher[row, t].exp().tolist(), logits[row, t].softmax(-1).tolist()
            best = sorted(range(V), key=lambda v: -p[v])[:top_k]
            total += sum((p[v] - q[v]) ** 2 for v in best)
            total += (sum(p[v] - q[v] for v in range(V) if v not in best)) ** 2
    targets = top(teacher, counts, top_k)
    assert float(objective()(output_of(logits, counts), targets)) == pytest.approx(total, rel=1e-5)
    assert objective().count(targets, torch.tensor(counts)) == 7


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_temperature_divides_the_logits_of_both(temperature):
    logits, teacher = randn(1, 3, V), randn(1, 3, V, seed=2)
    total = 0.0
    for t in range(3):
        p, q = ([math.exp(float(x) / temperature) for x in frame[0, t]] for frame in (teacher, logits))
        total += sum((a / sum(p) - b / sum(q)) ** 2 for a, b in zip(p, q, strict=True))
    targets = top(teacher.log_softmax(-1), [3], V)
    at_temperature = objective(temperature=temperature)(output_of(logits, [3]), targets)
    assert float(at_temperature) == pytest.approx(total, rel=1e-5)


def test_a_temperature_needs_all_tokens():
    hot = SoftmaxConfig(targets="store", temperature=2.0)
    with pytest.raises(
        AsrkdError, match="softmax: store: .* temperature 2 needs .* asrkd distill posterior --top-k all"
    ):
        Softmax(hot, source(has_all_tokens=False), student())
    Softmax(hot.model_copy(update={"temperature": 1.0}), source(has_all_tokens=False), student())


@pytest.mark.parametrize("top_k", [1, 3, 7])
def test_a_student_equal_to_its_teacher_costs_nothing(top_k):
    log_probs = randn(1, 5, V).log_softmax(-1)
    loss = objective()(output_of(log_probs, [5]), top(log_probs, [5], top_k))
    assert float(loss) == pytest.approx(0, abs=1e-12)


def test_the_distance_is_at_most_two_a_frame():
    sure = torch.eye(3)[[0, 1]]
    worst = posterior_distance(sure, torch.eye(4)[[1, 0]], torch.tensor([[0, 1, 2]] * 2))
    assert float(worst) == pytest.approx(4.0)


@given(st.integers(2, 12), st.integers(0, 2**31), st.floats(0.1, 12.0), st.data())
@settings(deadline=None)
def test_some_tokens_differ_from_all_by_at_most_the_tails_squared(num_tokens, seed, sharpness, data):
    top_k = data.draw(st.integers(1, num_tokens))
    teacher = (sharpness * randn(1, num_tokens, seed=seed, dtype=torch.float64)).log_softmax(-1)
    student_probs = (sharpness * randn(1, num_tokens, seed=seed + 1, dtype=torch.float64)).softmax(-1)
    whole = float((teacher.exp() - student_probs).square().sum())
    values, tokens = top_tokens(teacher, top_k)
    some = float(posterior_distance(student_probs, values.exp(), tokens.long()))
    tails = 1 - float(values[:, :-1].exp().sum()) + 1 - float(student_probs.gather(-1, tokens.long()).sum())
    assert abs(some - whole) <= tails**2 + 1e-12
    if top_k == num_tokens:
        assert some == pytest.approx(whole, abs=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    teacher = top(randn(2, 4, V, seed=2, dtype=torch.float64).log_softmax(-1), COUNTS, 3)
    probs = randn(6, V, dtype=torch.float64).softmax(-1).requires_grad_()
    real = torch.arange(4) < teacher.num_frames[:, None]
    targets = teacher.log_probs[real].exp(), teacher.tokens[real]
    assert torch.autograd.gradcheck(lambda x: posterior_distance(x, *targets), probs)


def test_padding_changes_neither_value_nor_gradient():
    check_padding(objective())


@pytest.mark.parametrize("frame_shift", [0.02, 0.08, 0.03])
def test_posteriors_of_another_rate_are_refused(frame_shift):
    with pytest.raises(
        AsrkdError, match="objectives, softmax: store: a posterior every 0.04 s and a student"
    ):
        Softmax(SoftmaxConfig(targets="store"), source(), student(frame_shift))
