"""The batched prefix beam search, against enumeration and against a textbook's version with dictionaries."""

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding import EncoderOutputs, SearchOptions, prefix_beam
from asrkd.decoding.ctc_score import hypothesis_log_prob, rank
from asrkd.decoding.greedy import ctc_best_paths
from asrkd.decoding.prefix_beam import search_frames

SEEDS = st.integers(0, 10_000)


def search(log_probs: Tensor, num_frames: Tensor, beam: int, num_best: int, max_tokens: int | None = None):
    options = SearchOptions(beam, num_best, max_tokens)
    return prefix_beam.search(EncoderOutputs(num_frames, log_probs), options)


def one(log_probs: Tensor, beam: int, num_best: int, max_tokens_per_frame: int | None = None):
    """Search a single utterance (T, V)."""
    [found] = search(log_probs[None], torch.tensor([len(log_probs)]), beam, num_best, max_tokens_per_frame)
    return found


def candidates(log_probs: Tensor, beam: int, max_tokens: int | None = None) -> set[tuple[int, ...]]:
    """The possible prefixes in the beam of a single utterance (T, V), and its greedy hypothesis."""
    options, num_frames = SearchOptions(beam, beam, max_tokens), torch.tensor([len(log_probs)])
    [found] = prefix_beam.candidates(log_probs[None], num_frames, options)
    return {hypothesis.tokens for hypothesis in rank(log_probs, found, len(found))}


def textbook_beam(log_probs: Tensor, beam: int, max_tokens: int) -> set[tuple[int, ...]]:
    """The prefixes left after the last frame, one alignment step at a time, in plain probabilities."""
    beams = {(): (1.0, 0.0)}  # prefix: probability of ending in blank, in its last token
    for frame in log_probs.double().exp().tolist():
        allowed = sorted(range(1, len(frame)), key=lambda token: -frame[token])[:max_tokens]
        after = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, nonblank) in beams.items():
            after[prefix][0] += (blank + nonblank) * frame[0]
            if prefix:
                after[prefix][1] += nonblank * frame[prefix[-1]]
            for token in allowed:
                before = blank if prefix and token == prefix[-1] else blank + nonblank
                after[(*prefix, token)][1] += before * frame[token]
        best = sorted(after.items(), key=lambda item: -sum(item[1]))[:beam]
        beams = {prefix: (blank, nonblank) for prefix, (blank, nonblank) in best if blank + nonblank > 0}
    return set(beams)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, num_frames=st.integers(1, 5), num_symbols=st.integers(1, 3))
def test_a_beam_that_holds_all_finds_what_enumeration_finds(
    by_hand, random_posteriors, seed, num_frames, num_symbols
):
    log_probs = random_posteriors(seed, (num_frames, num_symbols), share_impossible=0.2)
    expected = by_hand(log_probs)
    found = one(log_probs, beam=128, num_best=128)
    assert {hypothesis.tokens for hypothesis in found} == set(expected)
    assert [math.exp(h.log_prob) for h in found] == pytest.approx(sorted(expected.values(), reverse=True))
    for hypothesis in found:
        assert math.exp(hypothesis.log_prob) == pytest.approx(expected[hypothesis.tokens])


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    beam=st.integers(1, 9),
    max_tokens=st.sampled_from([None, 1, 2, 5]),
    spread=st.sampled_from([0.3, 2.0, 6.0]),
)
def test_a_narrow_beam_keeps_what_the_textbook_keeps(random_posteriors, seed, beam, max_tokens, spread):
    log_probs = random_posteriors(seed, (15, 6), spread=spread)
    expected = textbook_beam(log_probs, beam, max_tokens or 5)
    expected.add(tuple(ctc_best_paths(log_probs[None], torch.tensor([15]))[0]))
    assert candidates(log_probs, beam, max_tokens) == expected


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, beam=st.integers(1, 8), spread=st.sampled_from([0.5, 4.0]))
def test_neither_padding_nor_neighbors_matter(random_posteriors, seed, beam, spread):
    log_probs = random_posteriors(seed, (4, 18, 6), spread=spread)
    lengths = [11, 18, 0, 3]
    alone = [one(log_probs[n, :length], beam, beam) for n, length in enumerate(lengths)]
    for n, length in enumerate(lengths):
        log_probs[n, length:] = torch.nan
    together = search(log_probs, torch.tensor(lengths), beam, beam)
    for mine, ours in zip(alone, together, strict=True):
        assert [hypothesis.tokens for hypothesis in mine] == [hypothesis.tokens for hypothesis in ours]
        assert [h.log_prob for h in mine] == pytest.approx([h.log_prob for h in ours], rel=1e-9)


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, beam=st.integers(1, 4), max_tokens=st.sampled_from([None, 1]))
def test_the_best_is_never_worse_than_greedy(random_posteriors, seed, beam, max_tokens):
    log_probs = random_posteriors(seed, (25, 8), spread=1.0)
    greedy = ctc_best_paths(log_probs[None], torch.tensor([25]))
    best = one(log_probs, beam, 1, max_tokens)[0]
    assert best.log_prob >= hypothesis_log_prob(log_probs, greedy).item()


def test_hypotheses_are_different_sorted_and_exactly_scored(random_posteriors):
    log_probs = random_posteriors(2, (60, 12), spread=3.0)
    found = one(log_probs, beam=10, num_best=10)
    scores = [hypothesis.log_prob for hypothesis in found]
    assert len({hypothesis.tokens for hypothesis in found}) == len(found) == 10
    assert scores == sorted(scores, reverse=True)
    for hypothesis in found:
        loss = torch.nn.functional.ctc_loss(
            log_probs[:, None].double(), torch.tensor([hypothesis.tokens]), [60], [len(hypothesis.tokens)],
            reduction="sum",
        )  # fmt: skip
        assert hypothesis.log_prob == pytest.approx(-loss.item(), rel=1e-10)


def test_alignments_of_one_hypothesis_add_up():
    # The likeliest alignment is two blanks, 0.36; "a" has three alignments and 0.64 together.
    found = one(torch.tensor([[0.6, 0.4], [0.6, 0.4]], dtype=torch.float64).log(), beam=2, num_best=2)
    assert [hypothesis.tokens for hypothesis in found] == [(1,), ()]
    assert [math.exp(hypothesis.log_prob) for hypothesis in found] == pytest.approx([0.64, 0.36])


def test_fewer_than_num_best_come_back_where_there_are_no_more():
    certain = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).log()
    [only] = one(certain, beam=8, num_best=8)
    assert only.tokens == (1, 1)
    assert only.log_prob == pytest.approx(0.0)


def test_equal_scores_are_in_the_order_of_their_tokens():
    found = one(torch.full((1, 4), 0.25).log(), beam=4, num_best=4)
    assert [hypothesis.tokens for hypothesis in found] == [(), (1,), (2,), (3,)]


def test_one_token_per_frame_allows_only_the_likeliest(random_posteriors):
    log_probs = random_posteriors(4, (10, 9))
    likeliest = set((log_probs[:, 1:].argmax(dim=1) + 1).tolist())
    found = one(log_probs, beam=16, num_best=16, max_tokens_per_frame=1)
    assert {token for hypothesis in found for token in hypothesis.tokens} <= likeliest


def test_a_limit_that_allows_all_tokens_changes_nothing(random_posteriors):
    log_probs = random_posteriors(4, (10, 9))
    assert one(log_probs, 8, 8, 8) == one(log_probs, 8, 8, 1000) == one(log_probs, 8, 8)


def test_the_empty_hypothesis_stands_where_nothing_else_can():
    assert one(torch.empty(0, 3), 4, 4)[0].tokens == ()
    [only] = one(torch.full((3, 4), -math.inf), 4, 4)
    assert only.tokens == ()
    assert only.log_prob == -math.inf


def test_a_vocabulary_of_blank_alone_is_silence():
    [only] = one(torch.zeros(5, 1), 3, 3)
    assert only.tokens == ()
    assert only.log_prob == 0.0


def test_an_empty_batch_has_no_answers():
    empty = torch.empty(0, 5, 3)
    assert search(empty, torch.empty(0, dtype=torch.int64), 2, 1) == []


def test_half_precision_posteriors_are_searched_like_others(random_posteriors):
    log_probs = random_posteriors(3, (12, 5)).half()
    assert one(log_probs, 4, 4) == one(log_probs.double(), 4, 4)


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"num_best": 0}, {"max_tokens": 0}])
def test_options_below_one_are_refused(random_posteriors, wrong):
    options = {"beam": 2, "num_best": 1, "max_tokens": None, **wrong}
    with pytest.raises(AsrkdError, match="expected at least 1"):
        search(random_posteriors(0, (1, 4, 3)), torch.tensor([4]), **options)


def test_nan_in_a_real_frame_is_refused(random_posteriors):
    log_probs = random_posteriors(0, (1, 4, 3))
    log_probs[0, 1] = torch.nan
    with pytest.raises(AsrkdError, match="NaN at output frame 1"):
        search(log_probs, torch.tensor([4]), 2, 1)


def test_options_reach_the_search(random_posteriors):
    log_probs = random_posteriors(9, (2, 12, 7), spread=1.0)
    num_frames = torch.tensor([12, 6])
    options = SearchOptions(beam=6, num_best=3, max_tokens_per_frame=2)
    found = prefix_beam.search(EncoderOutputs(num_frames, log_probs), options)
    by_hand = [
        rank(frames[:length], prefixes, 3)
        for frames, length, prefixes in zip(
            log_probs, [12, 6], prefix_beam.candidates(log_probs, num_frames, options), strict=True
        )
    ]
    assert found == by_hand
    assert found != search(log_probs, num_frames, 6, 3)  # the limit matters here


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    beam=st.integers(1, 9),
    max_tokens=st.sampled_from([None, 1, 3]),
    spread=st.sampled_from([0.0, 0.3, 4.0]),
    share=st.sampled_from([0.0, 0.4]),
)
def test_numba_keeps_the_same_prefixes_in_the_same_slots(
    random_posteriors, seed, beam, max_tokens, spread, share
):
    """Also where many are equally likely (no spread) or impossible."""
    compiled = pytest.importorskip(
        "asrkd.decoding.prefix_beam_numba", reason="no numba here; pip install numba"
    )
    frames = random_posteriors(seed, (3, 14, 7), spread=spread, share_impossible=share).double().exp()
    tokens = frames[:, :, 1:].topk(min(2 * beam, max_tokens or 6, 6), dim=2).indices + 1
    allowed = torch.zeros_like(frames, dtype=torch.bool).scatter_(2, tokens, True) if max_tokens else None
    sources, possible = search_frames(frames, tokens, allowed, beam)
    same_sources, same_possible = np.empty_like(sources), np.empty_like(possible)
    permitted = torch.ones(1, 1, 7, dtype=torch.bool) if allowed is None else allowed
    arrays = [tensor.contiguous().numpy() for tensor in (frames, tokens, permitted)]
    compiled.search_frames(*arrays, same_sources, same_possible)
    assert (possible == same_possible).all()
    for ours, theirs in zip(sources, same_sources, strict=True):
        assert (ours == theirs).all()


def test_the_tokens_that_a_wide_vocabulary_is_cut_to_are_enough(random_posteriors):
    """Only the 2 B likeliest tokens of a frame are looked at; the textbook's beam looks at all."""
    for seed in range(20):
        log_probs = random_posteriors(seed, (12, 30), spread=[0.2, 1.5][seed % 2])
        expected = textbook_beam(log_probs, 2, 29)
        expected.add(tuple(ctc_best_paths(log_probs[None], torch.tensor([12]))[0]))
        assert candidates(log_probs, 2) == expected


def test_hypotheses_are_the_same_without_numba(random_posteriors, monkeypatch):
    log_probs, num_frames = random_posteriors(5, (4, 40, 12)), torch.tensor([40, 7, 23, 40])
    found = search(log_probs, num_frames, 6, 6)
    monkeypatch.setattr(prefix_beam, "_compiled", lambda: None)
    assert search(log_probs, num_frames, 6, 6) == found


def test_two_sequences_far_apart_in_likelihood_are_both_found():
    """A second one that is e^600 times less likely than the first, and a third that is e^1200 times."""
    log_probs = torch.tensor([[-600.0, 0.0, -1200.0]] * 3, dtype=torch.float64)
    assert [own.tokens for own in one(log_probs, 4, 4)][:2] == [(1,), (1, 1)]
