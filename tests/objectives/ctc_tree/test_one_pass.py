"""One pass over a prefix tree against PyTorch's loss of each sequence in float64, and against all paths."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.objectives.ctc import alignable, ctc_sum, separate_sum
from asrkd.objectives.ctc_tree import one_pass
from asrkd.objectives.ctc_tree.one_pass import OnePassSum, is_worthwhile
from asrkd.targets.sequences import SequenceTargets, collate

pytest.importorskip("numba", reason="pip install 'asrkd[fast]' to run it")

LISTS = [[[1, 2], [1, 1], [1], [], [2, 1], [1, 2, 2]], [[2], [2, 2]], [[1, 2, 1]]]
WEIGHTS = [[0.5, 0.25, 1.0, 0.1, 0.7, 0.2], [0.9, 0.4], [1.0]]


def one_pass_sum(
    log_probs: torch.Tensor, num_frames: torch.Tensor, targets: SequenceTargets, keep: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum over utterances whose sums are exact, and the indexes of the other sequences."""
    total, exact = OnePassSum.apply(log_probs, num_frames, targets, keep)
    return total, keep[~exact]


def both(logits: torch.Tensor, num_frames: torch.Tensor, targets: SequenceTargets) -> list[tuple]:
    """(value, gradient of the logits) by the tree, and by torch's loss in float64."""
    keep = alignable(targets, num_frames).nonzero().flatten()
    z = logits.clone().requires_grad_()
    total, left = one_pass_sum(z.log_softmax(-1), num_frames, targets, keep)
    assert len(left) == 0
    total.backward()
    oracle = logits.double().requires_grad_()
    expected = separate_sum(oracle.log_softmax(-1), num_frames, targets, keep)
    expected.backward()
    return [(total.detach(), z.grad), (expected.detach(), oracle.grad)]


def check(logits: torch.Tensor, num_frames: torch.Tensor, targets: SequenceTargets) -> None:
    (value, gradient), (expected, expected_gradient) = both(logits, num_frames, targets)
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=2e-6)


def test_values_are_weighted_sums_over_all_paths():
    log_probs = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    expected = 0.0
    for row, (own, weights) in enumerate(zip(LISTS, WEIGHTS, strict=True)):
        for tokens, weight in zip(own, weights, strict=True):
            paths = [
                path
                for path in itertools.product(range(3), repeat=5)
                if [token for token, _ in itertools.groupby(path) if token] == tokens
            ]
            total = sum(log_probs[row, range(5), list(path)].double().sum().exp() for path in paths)
            expected -= weight * total.log()
    targets = collate(LISTS, WEIGHTS)
    assert is_worthwhile(log_probs, targets.utterance)
    found = ctc_sum(log_probs, torch.tensor([5, 5, 5]), targets)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.lists(st.integers(1, 3), max_size=6), max_size=5), min_size=1, max_size=3),
    st.integers(0, 10_000),
    st.sampled_from([0.3, 2.0, 8.0]),
)
def test_values_and_gradients_are_those_of_separate_losses(lists, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(len(lists), 12, 4, generator=generator)
    weights = [torch.rand(len(own), generator=generator).tolist() for own in lists]
    num_frames = torch.randint(1, 13, (len(lists),), generator=generator)
    targets = collate(lists, weights)
    if alignable(targets, num_frames).any():
        check(logits, num_frames, targets)


def test_long_lists_over_many_frames_are_exact_too():
    generator = torch.Generator().manual_seed(3)
    best = torch.randint(1, 30, (80,), generator=generator).tolist()
    changed = [[*best[:place], 1, *best[place + 1 :]] for place in (5, 20, 50, 79)]
    logits = torch.randn(1, 300, 30, generator=generator)
    check(logits, torch.tensor([300]), collate([[best, *changed]], [[1.0, 0.5, 0.25, 0.125, 0.0625]]))


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e9])
def test_padding_changes_neither_value_nor_gradient(garbage):
    logits = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(2))
    num_frames, targets = torch.tensor([6, 3]), collate([[[1, 2], [1]], [[2], [2, 1]]])
    found = []
    for fill in (0.0, garbage):
        z = logits.clone()
        z[1, 3:] = fill
        log_probs = z.log_softmax(-1).requires_grad_()
        total = ctc_sum(log_probs, num_frames, targets)
        total.backward()
        assert not log_probs.grad[1, 3:].any()
        found.append((total.detach(), log_probs.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_distant_hypotheses_are_computed_separately():
    """A thousand nats between two hypotheses are more than a number holds."""
    logits = torch.zeros(2, 40, 3)
    logits[0, :, 1] = 60.0  # 2 is 60 nats less likely at each frame
    alternating = [1, 2] * 20
    targets = collate([[[1], alternating], [[1], [2]]])
    num_frames, keep = torch.tensor([40, 40]), torch.arange(4)
    _, left = one_pass_sum(logits.log_softmax(-1), num_frames, targets, keep)
    assert left.tolist() == [0, 1]
    z, oracle = logits.clone().requires_grad_(), logits.double().requires_grad_()
    total = ctc_sum(z.log_softmax(-1), num_frames, targets)
    expected = separate_sum(oracle.log_softmax(-1), num_frames, targets, keep)
    torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=1e-4)
    total.backward()
    expected.backward()
    torch.testing.assert_close(z.grad.double(), oracle.grad, rtol=1e-4, atol=1e-5)


def test_weights_of_zero_leave_a_hypothesis_without_gradient():
    logits = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(5))
    some, only = collate([[[1, 2], [3]]], [[1.0, 0.0]]), collate([[[1, 2]]], [[1.0]])
    (value, gradient), _ = both(logits, torch.tensor([8]), some)
    (alone, own_gradient), _ = both(logits, torch.tensor([8]), only)
    torch.testing.assert_close(value, alone)
    torch.testing.assert_close(gradient, own_gradient)


def test_one_pass_is_used_for_several_sequences_with_numba(monkeypatch):
    log_probs = torch.zeros(2, 3, 4)
    assert is_worthwhile(log_probs, torch.tensor([0, 0, 1]))
    assert not is_worthwhile(log_probs, torch.tensor([0, 1]))  # transcripts: PyTorch's own
    monkeypatch.setattr(one_pass, "is_available", lambda: False)
    assert not is_worthwhile(log_probs, torch.tensor([0, 0, 1]))


def test_no_gradient_is_made_where_none_is_wanted():
    log_probs = torch.randn(1, 4, 3).log_softmax(-1)
    total = ctc_sum(log_probs, torch.tensor([4]), collate([[[1], [2]]]))
    assert not total.requires_grad


def test_each_hypothesis_has_the_score_of_its_k2_graph():
    k2 = pytest.importorskip("k2", reason="make setup STACK=k2 to run it")
    hypotheses = [[1, 2], [1, 1], [1], [2, 1, 1]]
    log_probs = (2 * torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(7))).log_softmax(-1)
    frames = k2.DenseFsaVec(log_probs, torch.tensor([[0, 0, 9]], dtype=torch.int32))
    for place, hypothesis in enumerate(hypotheses):
        alone = [float(place == own) for own in range(len(hypotheses))]
        found, _ = one_pass_sum(
            log_probs, torch.tensor([9]), collate([hypotheses], [alone]), torch.arange(len(hypotheses))
        )
        lattice = k2.intersect_dense(k2.arc_sort(k2.ctc_graph([hypothesis])), frames, 1e9)
        expected = lattice.get_tot_scores(log_semiring=True, use_double_scores=True)
        torch.testing.assert_close(-found.double(), expected[0], rtol=1e-5, atol=1e-5)
