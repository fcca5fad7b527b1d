"""The search through k2's lattices; what needs k2 skips without it."""

import sys
from types import SimpleNamespace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.decoding import SEARCHES, EncoderOutputs, SearchOptions, k2_lattice
from asrkd.decoding.ctc_score import hypothesis_log_prob


def search(log_probs, num_frames, options):
    return k2_lattice.search(EncoderOutputs(num_frames, log_probs), options)


@pytest.fixture
def k2():
    return pytest.importorskip("k2", reason="needs k2: run the tests on the k2 stack, STACK=k2 make test")


def test_without_k2_the_error_names_a_search_that_needs_nothing(monkeypatch, random_posteriors):
    monkeypatch.setitem(sys.modules, "k2", None)
    with pytest.raises(AsrkdError, match="--search prefix-beam") as caught:
        search(random_posteriors(0, (1, 4, 3)), torch.tensor([4]), SearchOptions())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_its_best_is_the_prefix_beams_best_on_peaky_posteriors(k2, random_posteriors, seed):
    log_probs = random_posteriors(seed, (3, 30, 10), spread=7.0)
    num_frames = torch.tensor([30, 12, 1])
    options = SearchOptions(beam=8, num_best=4)
    found = SEARCHES["k2"].run(EncoderOutputs(num_frames, log_probs), options)
    expected = SEARCHES["prefix-beam"].run(EncoderOutputs(num_frames, log_probs), options)
    assert [hypotheses[0].tokens for hypotheses in found] == [hypotheses[0].tokens for hypotheses in expected]
    assert [h[0].log_prob for h in found] == pytest.approx([h[0].log_prob for h in expected], rel=1e-9)


def test_all_hypotheses_of_a_tiny_case_are_found(k2, by_hand, random_posteriors):
    log_probs = random_posteriors(0, (1, 3, 3), spread=0.5)
    expected = by_hand(log_probs[0])
    [found] = search(log_probs, torch.tensor([3]), SearchOptions(beam=128, num_best=128))
    assert {hypothesis.tokens for hypothesis in found} == set(expected)
    for hypothesis in found:
        probability = torch.tensor(hypothesis.log_prob).exp().item()
        assert probability == pytest.approx(expected[hypothesis.tokens], rel=1e-5)


def test_hypotheses_are_different_sorted_and_exactly_scored(k2, random_posteriors):
    log_probs = random_posteriors(1, (1, 25, 8), spread=3.0)
    [found] = search(log_probs, torch.tensor([25]), SearchOptions(beam=8, num_best=8))
    scores = [hypothesis.log_prob for hypothesis in found]
    exact = hypothesis_log_prob(log_probs[0], [hypothesis.tokens for hypothesis in found])
    assert len({hypothesis.tokens for hypothesis in found}) == len(found) == 8
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx(exact.tolist(), rel=1e-12)


def test_neither_padding_nor_neighbors_matter(k2, random_posteriors):
    log_probs = random_posteriors(2, (3, 20, 6), spread=3.0)
    lengths = [20, 9, 0]
    options = SearchOptions(beam=4, num_best=4)
    alone = [
        search(log_probs[n : n + 1, :length], torch.tensor([length]), options)[0]
        for n, length in enumerate(lengths)
    ]
    for n, length in enumerate(lengths):
        log_probs[n, length:] = torch.nan
    assert search(log_probs, torch.tensor(lengths), options) == alone
    assert [hypothesis.tokens for hypothesis in alone[2]] == [()]


def test_one_token_per_frame_allows_only_the_likeliest(k2, random_posteriors):
    log_probs = random_posteriors(4, (1, 8, 9), spread=1.0)
    likeliest = set((log_probs[0, :, 1:].argmax(dim=1) + 1).tolist())
    [limited] = search(log_probs, torch.tensor([8]), SearchOptions(16, 16, max_tokens_per_frame=1))
    [free] = search(log_probs, torch.tensor([8]), SearchOptions(16, 16))
    assert {token for hypothesis in limited for token in hypothesis.tokens} <= likeliest
    assert not {token for hypothesis in free for token in hypothesis.tokens} <= likeliest


def test_the_limit_on_tokens_is_that_of_the_prefix_beam(k2, random_posteriors):
    log_probs = random_posteriors(5, (1, 4, 5), spread=0.5)
    options = SearchOptions(beam=64, num_best=64, max_tokens_per_frame=1)
    [found] = search(log_probs, torch.tensor([4]), options)
    [expected] = SEARCHES["prefix-beam"].run(EncoderOutputs(torch.tensor([4]), log_probs), options)
    assert {hypothesis.tokens for hypothesis in found} == {hypothesis.tokens for hypothesis in expected}


def test_of_an_empty_lattice_greedy_is_the_answer(k2, monkeypatch, random_posteriors):
    monkeypatch.setattr(k2, "intersect_dense_pruned", lambda *graphs, **pruning: SimpleNamespace(num_arcs=0))
    log_probs = random_posteriors(6, (1, 10, 5))
    options = SearchOptions(beam=4, num_best=4)
    inputs = EncoderOutputs(torch.tensor([10]), log_probs)
    assert k2_lattice.search(inputs, options) == SEARCHES["greedy"].run(inputs, options)


def test_impossible_posteriors_give_the_empty_hypothesis(k2):
    impossible = torch.full((1, 3, 4), -torch.inf)
    [[only]] = search(impossible, torch.tensor([3]), SearchOptions(4, 4))
    assert only.tokens == ()
    assert only.log_prob == -torch.inf
