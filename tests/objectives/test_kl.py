"""KL divergence of posteriors: sums by hand, torch's kl_div, bounds of stores of some tokens, padding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.objectives.kl import Kl, KlConfig, kl_divergence
from asrkd.targets.posteriors import top_tokens
from tests.objectives.posteriors import V, check_padding, output_of, randn, source, student, top


def objective(**changes: object) -> Kl:
    return Kl(KlConfig.model_validate({"targets": "store"} | changes), source(), student())


@pytest.mark.parametrize("top_k", [1, 3, 7])
def test_the_divergence_is_the_explicit_sum(top_k):
    logits, teacher, counts = randn(2, 4, V), randn(2, 4, V, seed=2).log_softmax(-1), [4, 3]
    total = 0.0
    for row, count in enumerate(counts):
        for t in range(count):
            p, q = teacher[row, t].exp().tolist(), logits[row, t].softmax(-1).tolist()
            best = sorted(range(V), key=lambda v: -p[v])[:top_k]
            total += sum(p[v] * math.log(p[v] / q[v]) for v in best)
            rest = [v for v in range(V) if v not in best]
            if rest:
                tail = sum(p[v] for v in rest)
                total += tail * math.log(tail / sum(q[v] for v in rest))
    targets = top(teacher, counts, top_k)
    assert float(objective()(output_of(logits, counts), targets)) == pytest.approx(total, rel=1e-5)
    assert objective().count(targets, torch.tensor(counts)) == 7


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_is_torchs_divergence_at_a_temperature_times_its_square(temperature):
    logits, teacher = randn(1, 6, V), randn(1, 6, V, seed=2)
    expected = torch.nn.functional.kl_div(
        (logits[0] / temperature).log_softmax(-1), (teacher[0] / temperature).softmax(-1), reduction="sum"
    )
    targets = top(teacher.log_softmax(-1), [6], V)
    loss = objective(temperature=temperature)(output_of(logits, [6]), targets)
    assert float(loss) == pytest.approx(float(expected) * temperature**2, rel=1e-5)


def test_a_temperature_needs_all_tokens():
    with pytest.raises(AsrkdError, match="objectives, kl: store: .* temperature 2 needs"):
        Kl(KlConfig(targets="store", temperature=2.0), source(has_all_tokens=False), student())


@pytest.mark.parametrize("top_k", [1, 3, 7])
def test_a_student_equal_to_its_teacher_costs_nothing_also_of_float16(top_k):
    log_probs = randn(1, 5, V).log_softmax(-1)
    exact = top(log_probs, [5], top_k)
    assert float(objective()(output_of(log_probs, [5]), exact)) == pytest.approx(0, abs=1e-6)
    rounded = type(exact)(exact.log_probs.half().float(), exact.tokens, exact.num_frames)
    assert 0 <= float(objective()(output_of(log_probs, [5]), rounded)) < 1e-5


def test_a_token_that_the_teacher_excludes_costs_nothing_and_has_a_finite_gradient():
    teacher = torch.tensor([[0.5, 0.5, 0.0]]).log()
    for tokens, log_probs in (
        (torch.tensor([[0, 1, 2]]), torch.cat([teacher, torch.tensor([[-torch.inf]])], -1)),
        (torch.tensor([[0, 1]]), teacher),
    ):
        logits = torch.zeros(1, 3, requires_grad=True)
        loss = kl_divergence(logits, log_probs, tokens)
        loss.backward()
        assert float(loss) == pytest.approx(math.log(1.5))
        assert logits.grad.tolist() == [pytest.approx([-1 / 6, -1 / 6, 1 / 3])]


@given(st.integers(2, 12), st.integers(0, 2**31), st.floats(0.1, 12.0), st.data())
@settings(deadline=None)
def test_some_tokens_never_give_more_than_all(num_tokens, seed, sharpness, data):
    top_k = data.draw(st.integers(1, num_tokens))
    teacher = (sharpness * randn(1, num_tokens, seed=seed, dtype=torch.float64)).log_softmax(-1)
    logits = sharpness * randn(1, num_tokens, seed=seed + 1, dtype=torch.float64)
    whole = float((teacher.exp() * (teacher - logits.log_softmax(-1))).sum())
    values, tokens = top_tokens(teacher, top_k)
    some = float(kl_divergence(logits, values, tokens.long()))
    assert -1e-9 <= some <= whole + 1e-9
    if top_k == num_tokens:
        assert some == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("top_k", [2, 7])
def test_the_gradient_is_that_of_finite_differences(top_k):
    values, tokens = top_tokens(randn(5, V, seed=2, dtype=torch.float64).log_softmax(-1), top_k)
    logits = randn(5, V, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: kl_divergence(x, values, tokens.long()), logits)


@pytest.mark.parametrize("top_k", [3, 7])
def test_padding_changes_neither_value_nor_gradient(top_k):
    check_padding(objective(), top_k)
