"""The exact score of a hypothesis."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.decoding.ctc_score import hypothesis_log_prob, rank
from asrkd.decoding.hypothesis import Hypothesis

SEEDS = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, num_frames=st.integers(1, 5), num_symbols=st.integers(1, 3))
def test_score_is_the_sum_over_all_alignments(by_hand, random_posteriors, seed, num_frames, num_symbols):
    log_probs = random_posteriors(seed, (num_frames, num_symbols), share_impossible=0.2)
    probabilities = by_hand(log_probs)
    scores = hypothesis_log_prob(log_probs, list(probabilities))
    assert scores.exp().tolist() == pytest.approx(list(probabilities.values()), rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_probabilities_of_all_hypotheses_sum_to_one(by_hand, random_posteriors, seed):
    log_probs = random_posteriors(seed, (5, 4))
    hypotheses = list(by_hand(log_probs))
    assert hypothesis_log_prob(log_probs, hypotheses).exp().sum().item() == pytest.approx(1.0, abs=1e-6)


def test_two_frames_by_hand():
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]], dtype=torch.float64).log()
    scores = hypothesis_log_prob(log_probs, [(), (1,), (1, 1)])
    assert scores.exp().tolist() == pytest.approx([0.36, 0.64, 0.0])


@pytest.mark.parametrize("impossible", [(1, 1, 1), (1, 2, 1, 2, 1, 2)])
def test_an_unalignable_hypothesis_scores_minus_infinity(random_posteriors, impossible):
    scores = hypothesis_log_prob(random_posteriors(0, (4, 3)), [(), impossible, (1,)])
    assert scores[1] == -math.inf
    assert torch.isfinite(scores[[0, 2]]).all()


def test_a_token_that_no_frame_allows_scores_minus_infinity(random_posteriors):
    log_probs = random_posteriors(0, (4, 3))
    log_probs[:, 2] = -math.inf
    assert hypothesis_log_prob(log_probs, [(2,), (1, 2)]).tolist() == [-math.inf, -math.inf]


def test_an_impossible_frame_makes_everything_impossible(random_posteriors):
    log_probs = random_posteriors(0, (4, 3))
    log_probs[1] = -math.inf
    assert hypothesis_log_prob(log_probs, [(), (1,)]).tolist() == [-math.inf, -math.inf]


def test_no_frames_say_nothing():
    scores = hypothesis_log_prob(torch.empty(0, 3), [(), (1,)])
    assert scores.tolist() == [0.0, -math.inf]


def test_the_empty_hypothesis_is_all_blanks(random_posteriors):
    log_probs = random_posteriors(3, (50, 7))
    expected = log_probs[:, 0].double().sum()
    assert hypothesis_log_prob(log_probs, [()]).item() == pytest.approx(expected.item(), rel=1e-12)


def test_scores_are_double_and_do_not_depend_on_each_other(random_posteriors):
    log_probs = random_posteriors(1, (30, 5))
    hypotheses = [(1, 2, 3), (), (4,) * 5, (2, 2)]
    together = hypothesis_log_prob(log_probs, hypotheses)
    alone = torch.cat([hypothesis_log_prob(log_probs, [hypothesis]) for hypothesis in hypotheses])
    assert together.dtype == torch.float64
    assert together.tolist() == pytest.approx(alone.tolist(), rel=1e-12)


def test_no_hypotheses_have_no_scores(random_posteriors):
    assert hypothesis_log_prob(random_posteriors(0, (4, 3)), []).shape == (0,)


@pytest.mark.parametrize("tokens", [(0,), (1, 0), (3,), (-1,)])
def test_blank_and_unknown_tokens_are_refused(random_posteriors, tokens):
    with pytest.raises(ValueError, match=r"tokens must be in 1\.\.2"):
        hypothesis_log_prob(random_posteriors(0, (4, 3)), [tokens])


def test_rank_sorts_by_score_and_gives_each_hypothesis_once(by_hand, random_posteriors):
    log_probs = random_posteriors(5, (4, 3))
    by_probability = sorted(by_hand(log_probs).items(), key=lambda item: -item[1])
    ranked = rank(log_probs, [tokens for tokens, _ in by_probability[::-1]] * 2, num_best=6)
    assert [hypothesis.tokens for hypothesis in ranked] == [tokens for tokens, _ in by_probability[:6]]


def test_rank_orders_equal_scores_by_tokens():
    uniform = torch.full((1, 4), 0.25).log()
    ranked = rank(uniform, [(3,), (1,), (), (2,)], num_best=4)
    assert [hypothesis.tokens for hypothesis in ranked] == [(), (1,), (2,), (3,)]


@pytest.mark.parametrize("candidates", [[], [(1, 1, 1)]])
def test_rank_falls_back_on_the_empty_hypothesis(random_posteriors, candidates):
    log_probs = random_posteriors(5, (2, 3))
    [only] = rank(log_probs, candidates, num_best=3)
    assert only.tokens == ()
    assert only.log_prob == pytest.approx(log_probs[:, 0].sum().item(), rel=1e-6)


def test_a_hypothesis_cannot_be_changed():
    with pytest.raises(AttributeError):
        Hypothesis((1,), -1.0).log_prob = 0.0
