"""The likeliest alignment, collapsed."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.decoding import EncoderOutputs, SearchOptions
from asrkd.decoding.greedy import ctc_best_paths, search


def certain(symbols: list[int], num_symbols: int) -> torch.Tensor:
    """Posteriors of shape (1, T, V) that leave no choice."""
    return torch.nn.functional.one_hot(torch.tensor([symbols]), num_symbols).double().log()


@pytest.mark.parametrize(
    ("alignment", "tokens"),
    [
        ([0, 0, 0], []),
        ([1, 1, 0, 1, 2, 2], [1, 1, 2]),
        ([0, 3, 3, 3, 0], [3]),
        ([1, 2, 1], [1, 2, 1]),
    ],
)
def test_repeats_collapse_unless_a_blank_is_between(alignment, tokens):
    log_probs = certain(alignment, 4)
    assert ctc_best_paths(log_probs, torch.tensor([len(alignment)])) == [tokens]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_tokens_are_those_of_the_best_of_all_alignments(random_posteriors, seed, num_frames):
    log_probs = random_posteriors(seed, (1, num_frames, 3))
    alignments = itertools.product(range(3), repeat=num_frames)
    best = max(alignments, key=lambda path: sum(log_probs[0, t, s].item() for t, s in enumerate(path)))
    collapsed = [symbol for symbol, _ in itertools.groupby(best) if symbol]
    assert ctc_best_paths(log_probs, torch.tensor([num_frames])) == [collapsed]


def test_padding_does_not_matter_whatever_it_holds(random_posteriors):
    log_probs = random_posteriors(0, (3, 20, 5))
    num_frames = torch.tensor([20, 7, 0])
    alone = [ctc_best_paths(log_probs[n : n + 1, :t], torch.tensor([t]))[0] for n, t in enumerate([20, 7, 0])]
    for n, length in enumerate(num_frames):
        log_probs[n, length:] = torch.nan
    assert ctc_best_paths(log_probs, num_frames) == alone
    assert alone[2] == []


def test_greedy_search_gives_one_hypothesis_with_exact_score(by_hand, random_posteriors):
    log_probs = random_posteriors(7, (2, 5, 3))
    num_frames = torch.tensor([5, 3])
    found = search(EncoderOutputs(num_frames, log_probs), SearchOptions(beam=4, num_best=4))
    assert [[list(h.tokens) for h in hypotheses] for hypotheses in found] == [
        [tokens] for tokens in ctc_best_paths(log_probs, num_frames)
    ]
    for n, [hypothesis] in enumerate(found):
        probability = by_hand(log_probs[n, : num_frames[n]])[hypothesis.tokens]
        assert torch.tensor(hypothesis.log_prob).exp().item() == pytest.approx(probability, rel=1e-5)
