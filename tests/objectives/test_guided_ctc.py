"""Guided CTC: masks written out as the paper's matrices, the gradient of its -sum(M * P), padding."""

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.objectives.guided_ctc import GuidedCtc, GuidedCtcConfig, best_tokens, spike_loss
from tests.objectives.posteriors import V, check_padding, output_of, randn, source, student, top

COUNTS = [4, 3]
# The teacher's likeliest token of each frame; 0 is blank. The last frame of the second utterance is padding.
SPIKES = [[0, 3, 3, 0], [5, 0, 1, 2]]


def teacher() -> torch.Tensor:
    logits = randn(2, 4, V, seed=2)
    for row, spikes in enumerate(SPIKES):
        for t, token in enumerate(spikes):
            logits[row, t, token] = 6.0
    return logits.log_softmax(-1)


def objective() -> GuidedCtc:
    return GuidedCtc(GuidedCtcConfig(targets="store"), source(has_all_tokens=False), student())


@pytest.mark.parametrize("top_k", [1, 4, V])
def test_it_is_the_papers_masked_sum_from_the_number_of_spikes(top_k):
    logits = randn(2, 4, V).requires_grad_()
    mask = torch.zeros(2, 4, V)
    for row, spikes in enumerate(SPIKES):
        for t, token in enumerate(spikes[: COUNTS[row]]):
            if token:
                mask[row, t, token] = 1
    paper = -(mask * logits.softmax(-1)).sum()
    (expected,) = torch.autograd.grad(paper, logits)
    targets = top(teacher(), COUNTS, top_k)
    loss = objective()(output_of(logits, COUNTS), targets)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(loss) == pytest.approx(4 + float(paper), rel=1e-5)
    assert objective().count(targets, torch.tensor(COUNTS)) == 4
    torch.testing.assert_close(gradient, expected)


def test_tokens_in_the_order_of_the_inventory_give_the_same_spikes():
    log_probs = teacher()
    tail = torch.full((2, 4, 1), -torch.inf)
    tokens = torch.arange(V).expand(2, 4, V)
    assert best_tokens(torch.cat([log_probs, tail], -1), tokens).tolist() == SPIKES


def test_a_student_sure_of_the_spikes_costs_nothing():
    sure = torch.zeros(2, 4, V)
    for row, spikes in enumerate(SPIKES):
        for t, token in enumerate(spikes):
            sure[row, t, token] = 200.0
    assert float(objective()(output_of(sure, COUNTS), top(teacher(), COUNTS, 2))) == 0.0


def test_an_utterance_that_is_blank_throughout_is_not_counted():
    silent = torch.zeros(1, 3, V)
    silent[..., 0] = 9.0
    targets = top(silent.log_softmax(-1), [3], 2)
    logits = randn(1, 3, V).requires_grad_()
    loss = objective()(output_of(logits, [3]), targets)
    loss.backward()
    assert (float(loss), objective().count(targets, torch.tensor([3]))) == (0.0, 0)
    assert not logits.grad.any()


def test_the_gradient_is_that_of_finite_differences():
    logits, tokens = randn(5, V, dtype=torch.float64).requires_grad_(), torch.tensor([1, 2, 6, 6, 3])
    assert torch.autograd.gradcheck(lambda x: spike_loss(x.softmax(-1), tokens), logits)


def test_padding_changes_neither_value_nor_gradient():
    check_padding(objective())


def test_posteriors_of_another_rate_are_refused():
    with pytest.raises(
        AsrkdError,
        match="objectives, guided_ctc: store: a posterior every 0.04 s and a student frame every 0.02 s",
    ):
        GuidedCtc(GuidedCtcConfig(targets="store"), source(), student(0.02))
