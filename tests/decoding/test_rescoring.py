"""Exact scores of given hypotheses, and rankings by several models, against sums by hand."""

import math

import pytest
import torch

from asrkd.decoding import attention_beam
from asrkd.decoding.ctc_score import hypothesis_log_prob
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.decoding.hypothesis import EncoderOutputs
from asrkd.decoding.options import DecoderOptions, SearchOptions
from asrkd.decoding.rescoring import rescore
from tests.decoding.tiny_models import Bigram, Gru


@pytest.fixture
def gru() -> Gru:
    torch.manual_seed(5)
    return Gru(num_tokens=6, dim=4).requires_grad_(False)


def test_forced_scores_equal_the_searchs_in_any_batch(gru):
    encoded, lengths = torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(1)), [8, 2, 5]
    for row, length in enumerate(lengths):
        encoded[row, length:] = torch.nan
    inputs = EncoderOutputs(torch.tensor(lengths), encoded=encoded, decoder=gru)
    found = attention_beam.search(inputs, SearchOptions(5, 5))
    candidates = [[own.tokens for own in mine] for mine in found]
    together = forced_log_prob(gru, encoded, torch.tensor(lengths), candidates)
    for row, mine in enumerate(found):
        assert together[row] == pytest.approx([own.log_prob for own in mine], abs=1e-5)
        for tokens, score in zip(candidates[row], together[row], strict=True):
            num_frames = torch.tensor(lengths[row : row + 1])
            [[alone]] = forced_log_prob(gru, encoded[row : row + 1], num_frames, [[tokens]])
            assert alone == pytest.approx(score, abs=1e-5)


def test_forced_scores_by_hand():
    # Whatever came before: the end 1/2, "a" 1/3, "b" 1/6.
    table = torch.tensor([1 / 2, 1 / 3, 1 / 6]).log().repeat(3, 1)
    [scores, none] = forced_log_prob(
        Bigram(table, hears=False), torch.zeros(2, 1, 3), torch.tensor([1, 1]), [[(), (1, 2), (2,)], []]
    )
    assert [math.exp(score) for score in scores] == pytest.approx([1 / 2, 1 / 36, 1 / 12])
    assert none == []


def test_a_boundary_inside_a_hypothesis_is_the_callers_mistake(gru):
    with pytest.raises(ValueError, match="boundary"):
        forced_log_prob(gru, torch.zeros(1, 2, 4), torch.tensor([2]), [[(1, 0)]])
    with pytest.raises(ValueError, match="2 lists"):
        forced_log_prob(gru, torch.zeros(1, 2, 4), torch.tensor([2]), [[], []])


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("with_lm", [False, True])
def test_rescoring_mixes_the_exact_scores_of_both(gru, random_posteriors, weight, with_lm):
    log_probs, lengths = random_posteriors(2, (2, 7, 6)), torch.tensor([7, 4])
    encoded = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(1))
    lm = (
        Bigram(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)), hears=False)
        if with_lm
        else None
    )
    candidates = [[(), (1,), (1, 2, 3), (5, 5)], [(2,), (4, 1)]]
    rules = DecoderOptions(lm_weight=0.4, token_bonus=0.2, length_norm="length")
    inputs = EncoderOutputs(lengths, log_probs, encoded, gru, lm)
    weights = {"ctc": weight, "attention": 1 - weight}
    found = rescore(inputs, candidates, weights, SearchOptions(4, 4, decoder=rules))
    attention = forced_log_prob(gru, encoded, lengths, candidates)
    said = forced_log_prob(lm, encoded, lengths, candidates) if lm else [[0.0] * 4] * 2
    for row, mine in enumerate(found):
        ctc = hypothesis_log_prob(log_probs[row, : lengths[row]], candidates[row]).tolist()
        expected = {}
        for place, tokens in enumerate(candidates[row]):
            mixed = weight * ctc[place] + (1 - weight) * attention[row][place]
            total = mixed + 0.4 * said[row][place] + 0.2 * len(tokens)
            expected[tokens] = (total / (len(tokens) + 1), mixed, ctc[place], attention[row][place])
        assert [own.tokens for own in mine] == sorted(expected, key=lambda tokens: -expected[tokens][0])
        for own in mine:
            parts = own.parts["ctc"], own.parts["attention"]
            assert (own.score, own.log_prob, *parts) == pytest.approx(expected[own.tokens], abs=1e-5)
            assert own.parts["length"] == len(own.tokens)
            assert ("lm" in own.parts) == with_lm


def test_ctc_impossible_hypotheses_are_dropped_if_ctc_counts(gru, random_posteriors):
    inputs = EncoderOutputs(torch.tensor([2]), random_posteriors(0, (1, 2, 6)), torch.zeros(1, 2, 4), gru)
    candidates = [[(1, 1), (2,)]]  # two frames cannot say "1 1"
    options = SearchOptions(4, 4)
    [found] = rescore(inputs, candidates, {"ctc": 0.5, "attention": 0.5}, options)
    assert [own.tokens for own in found] == [(2,)]
    [found] = rescore(inputs, candidates, {"ctc": 0.0, "attention": 1.0}, options)
    assert {own.tokens for own in found} == {(2,), (1, 1)}
    [[only]] = rescore(inputs, [[(1, 1)]], {"ctc": 1.0}, options)
    assert (only.tokens, only.log_prob) == ((), -math.inf)


def test_no_audio_is_silence_for_all_parts(gru, random_posteriors):
    inputs = EncoderOutputs(torch.tensor([0, 2]), random_posteriors(0, (2, 2, 6)), torch.zeros(2, 2, 4), gru)
    found = rescore(inputs, [[(), (1,)], [(1,)]], {"ctc": 0.5, "attention": 0.5}, SearchOptions(4, 4))
    assert [(own.tokens, own.log_prob) for own in found[0]] == [((), 0.0)]
    assert [own.tokens for own in found[1]] == [(1,)]
