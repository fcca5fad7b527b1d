"""The beam search over decoders, against all strings one by one and against a beam of dictionaries."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding import EncoderOutputs, attention_beam
from asrkd.decoding.options import DecoderOptions, SearchOptions
from asrkd.decoding.token_beam import best_places
from tests.decoding.tiny_models import Bigram, Gru

SEEDS = st.integers(0, 10_000)
RULES = [
    DecoderOptions(),
    DecoderOptions(length_norm="length"),
    DecoderOptions(length_norm="gnmt", alpha=0.8),
    DecoderOptions(token_bonus=0.7),
    DecoderOptions(length_norm="gnmt", alpha=1.3, token_bonus=-0.4),
    DecoderOptions(length_norm="length", token_bonus=2.5),
    DecoderOptions(eos_factor=1.5),
]


def tiny(seed: int, num_tokens: int, hears: bool = True) -> Bigram:
    """Of its own table at each place, so that no two strings are equally likely."""
    generator = torch.Generator().manual_seed(seed)
    return Bigram(2.0 * torch.randn(13, num_tokens, num_tokens, generator=generator), hears)


def audio(seed: int, shape: tuple[int, int, int]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1))


def probabilities(model: Bigram, frames: Tensor) -> list[list[list[float]]]:
    """log P(next | place, last) by Python's own arithmetic, for the (T, V) frames of an utterance."""
    bias = frames.mean(dim=0).tolist() if model.hears else [0.0] * frames.shape[1]

    def log_softmax(scores: list[float]) -> list[float]:
        moved = [score + own for score, own in zip(scores, bias, strict=True)]
        total = math.log(sum(math.exp(score) for score in moved))
        return [score - total for score in moved]

    return [[log_softmax(scores) for scores in table] for table in model.table.tolist()]


def by_hand(rows: list[list[list[float]]], tokens: tuple[int, ...]) -> float:
    """log P of the whole string with its end."""
    path = (0, *tokens, 0)
    return sum(rows[place][last][token] for place, (last, token) in enumerate(itertools.pairwise(path)))


def divisor(length: int, rules: DecoderOptions) -> float:
    factors = length + 1
    return {"none": 1.0, "length": factors, "gnmt": ((5 + factors) / 6) ** rules.alpha}[rules.length_norm]


def ends_are_allowed(rows, tokens: tuple[int, ...], rules: DecoderOptions, most: int) -> bool:
    if rules.eos_factor is None or len(tokens) == most:
        return True
    last = rows[len(tokens)][tokens[-1] if tokens else 0]
    return last[0] > rules.eos_factor * max(last[1:])


def strings(num_tokens: int, most: int) -> list[tuple[int, ...]]:
    symbols = range(1, num_tokens)
    return [own for length in range(most + 1) for own in itertools.product(symbols, repeat=length)]


def search(model, encoded, num_frames, options, lm=None):
    counts = torch.tensor(num_frames, dtype=torch.int64, device=encoded.device)
    return attention_beam.search(EncoderOutputs(counts, encoded=encoded, decoder=model, lm=lm), options)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, num_tokens=st.integers(2, 4), rules=st.sampled_from(RULES), with_lm=st.booleans())
def test_a_full_beam_equals_enumeration_of_all_strings(seed, num_tokens, rules, with_lm):
    model, lm = tiny(seed, num_tokens), tiny(seed + 7, num_tokens, hears=False) if with_lm else None
    encoded = audio(seed, (1, 4, num_tokens))
    rows, lm_rows = probabilities(model, encoded[0]), probabilities(lm, encoded[0]) if lm else None
    expected = {}
    for tokens in strings(num_tokens, 4):
        if ends_are_allowed(rows, tokens, rules, 4):
            attention, said = by_hand(rows, tokens), by_hand(lm_rows, tokens) if lm_rows else 0.0
            total = attention + rules.lm_weight * said + rules.token_bonus * len(tokens)
            expected[tokens] = (total / divisor(len(tokens), rules), attention, said)
    options = SearchOptions(beam=81, num_best=81, decoder=rules)
    [found] = search(model, encoded, [4], options, lm)
    best = sorted(expected, key=lambda tokens: -expected[tokens][0])[:81]
    assert [hypothesis.tokens for hypothesis in found] == best
    for hypothesis in found:
        own_score, attention, said = expected[hypothesis.tokens]
        assert hypothesis.score == pytest.approx(own_score, abs=1e-5)
        assert hypothesis.log_prob == hypothesis.parts["attention"] == pytest.approx(attention, abs=1e-5)
        assert hypothesis.parts["length"] == len(hypothesis.tokens)
        assert hypothesis.parts.get("lm", 0.0) == pytest.approx(said, abs=1e-5)


def textbook_beam(rows, beam: int, most: int, rules: DecoderOptions) -> list[tuple[float, tuple[int, ...]]]:
    """All that ends when nothing stops early: (-score, tokens), the best first."""
    live, ended = [((), 0.0)], []
    for length in range(most + 1):
        for tokens, total in live:
            if ends_are_allowed(rows, tokens, rules, most):
                last = tokens[-1] if tokens else 0
                score = (total + rows[length][last][0] + rules.token_bonus * length) / divisor(length, rules)
                ended.append((-score, tokens))
        longer = [
            ((*tokens, token), total + rows[length][tokens[-1] if tokens else 0][token])
            for tokens, total in live
            for token in range(1, len(rows[0]))
        ]
        live = sorted(longer, key=lambda own: (-own[1], own[0]))[:beam]
    return sorted(ended)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, beam=st.integers(1, 6), rules=st.sampled_from(RULES), share=st.floats(0.2, 1.0))
def test_an_early_stop_does_not_change_a_narrow_beam(seed, beam, rules, share):
    model, encoded = tiny(seed, 6), audio(seed, (1, 12, 6))
    num_best = max(1, int(beam * share))
    options = SearchOptions(beam=beam, num_best=num_best, decoder=rules)
    [found] = search(model, encoded, [12], options)
    expected = textbook_beam(probabilities(model, encoded[0]), beam, 12, rules)[:num_best]
    assert [hypothesis.tokens for hypothesis in found] == [tokens for _, tokens in expected]
    assert [h.score for h in found] == pytest.approx([-score for score, _ in expected], abs=1e-4)


@pytest.mark.parametrize("rules", RULES)
def test_neither_padding_nor_neighbors_matter(rules):
    torch.manual_seed(3)
    model, encoded = Gru(num_tokens=7, dim=5).requires_grad_(False), audio(3, (6, 20, 5))
    lengths = [20, 3, 0, 11, 20, 1]
    options = SearchOptions(beam=4, num_best=4, decoder=rules)
    alone = [
        search(model, encoded[n : n + 1, :count], [count], options)[0] for n, count in enumerate(lengths)
    ]
    for n, count in enumerate(lengths):
        encoded[n, count:] = torch.nan
    together = search(model, encoded, lengths, options)
    for mine, ours in zip(alone, together, strict=True):
        assert [own.tokens for own in mine] == [own.tokens for own in ours]
        assert [own.score for own in mine] == pytest.approx([own.score for own in ours], abs=1e-4)


def test_finished_utterances_and_empty_slots_are_not_computed():
    # Whatever was said, the first ends at once; the second never wants to, and has 5 frames.
    table = torch.zeros(4, 4)
    model = Bigram(table)
    encoded = torch.zeros(2, 5, 4)
    encoded[0, :, 0], encoded[1, :, 0] = 30.0, -30.0
    search(model, encoded, [5, 5], SearchOptions(beam=3, num_best=1))
    assert model.asked == [2, 3, 3, 3, 3, 3]


def test_an_early_stop_allows_for_the_length_bonus():
    # "a" again and again costs ln 2 a token; with a bonus of 1 the longest is the best.
    table = torch.full((2, 2), 0.0)
    rules = DecoderOptions(token_bonus=1.0)
    [[best]] = search(Bigram(table), torch.zeros(1, 9, 2), [9], SearchOptions(4, 1, decoder=rules))
    assert best.tokens == (1,) * 9
    assert best.log_prob == pytest.approx(-10 * math.log(2), abs=1e-5)
    assert best.score == pytest.approx(9 - 10 * math.log(2), abs=1e-5)


def test_scores_by_hand_of_all_norms():
    # P(a) = P(end) = 1/2 each time: log P of "aa" is 3 ln 1/2; its length with the end is 3.
    model, encoded = Bigram(torch.zeros(2, 2)), torch.zeros(1, 3, 2)
    third = -3 * math.log(2)
    for rules, expected in [
        (DecoderOptions(), third),
        (DecoderOptions(length_norm="length"), third / 3),
        (DecoderOptions(length_norm="gnmt", alpha=1.0), third / (8 / 6)),
    ]:
        [found] = search(model, encoded, [3], SearchOptions(4, 4, decoder=rules))
        by_tokens = {own.tokens: own for own in found}
        assert by_tokens[(1, 1)].score == pytest.approx(expected, abs=1e-6)
        assert by_tokens[(1, 1)].log_prob == pytest.approx(third, abs=1e-6)


def test_a_sentence_may_end_only_where_the_end_is_likely_enough():
    # ln P(end) = ln 0.2 = -1.61, the best other ln 0.4 = -0.92: 1.5 times that is -1.37, twice is -1.83.
    table = torch.tensor([0.2, 0.4, 0.4]).log().repeat(3, 1)
    encoded = torch.zeros(1, 4, 3)
    [strict] = search(
        Bigram(table), encoded, [4], SearchOptions(20, 20, decoder=DecoderOptions(eos_factor=1.5))
    )
    [lenient] = search(
        Bigram(table), encoded, [4], SearchOptions(20, 20, decoder=DecoderOptions(eos_factor=2.0))
    )
    assert {len(own.tokens) for own in strict} == {4}  # at the most tokens it has to
    assert {len(own.tokens) for own in lenient} >= {0, 1, 2, 3}


def test_ties_are_broken_by_tokens_in_lists_and_beams():
    [found] = search(Bigram(torch.zeros(5, 5)), torch.zeros(1, 2, 5), [2], SearchOptions(beam=3, num_best=3))
    assert [own.tokens for own in found] == [(), (1,), (2,)]
    rules = DecoderOptions(token_bonus=5.0)
    [found] = search(Bigram(torch.zeros(5, 5)), torch.zeros(1, 2, 5), [2], SearchOptions(3, 3, decoder=rules))
    assert [own.tokens for own in found] == [(1, 1), (1, 2), (1, 3)]


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.sampled_from([0.0, 1.0, 2.0, -math.inf]), min_size=1, max_size=12), data=st.data())
def test_the_best_places_are_those_of_a_stable_sort(values, data):
    count = data.draw(st.integers(1, len(values)))
    expected = sorted(sorted(range(len(values)), key=lambda place: -values[place])[:count])
    assert best_places(torch.tensor([values, values]), count).tolist() == [expected] * 2


def test_max_tokens_is_a_share_of_the_frames_at_least_one():
    table = torch.full((3, 3), 0.0)
    table[:, 0] = -20.0
    for frames, ratio, most in [(10, 0.25, 3), (1, 0.1, 1), (2, 2.0, 4)]:
        rules = DecoderOptions(max_length_ratio=ratio, token_bonus=30.0)
        [[best]] = search(
            Bigram(table), torch.zeros(1, frames, 3), [frames], SearchOptions(2, 1, decoder=rules)
        )
        assert len(best.tokens) == most


def test_empty_audio_is_empty_text_and_no_end_is_impossible():
    model = Bigram(torch.zeros(3, 3))
    [[silent], [spoken, *_]] = search(model, torch.zeros(2, 4, 3), [0, 4], SearchOptions(2, 1))
    assert (silent.tokens, silent.log_prob) == ((), 0.0)
    assert spoken.log_prob < 0
    endless = torch.zeros(3, 3)
    endless[:, 0] = -math.inf
    [[only]] = search(Bigram(endless), torch.zeros(1, 4, 3), [4], SearchOptions(2, 2))
    assert (only.tokens, only.log_prob) == ((), -math.inf)


def test_an_empty_batch_has_no_answers():
    assert search(Bigram(torch.zeros(3, 3)), torch.zeros(0, 4, 3), [], SearchOptions()) == []


def test_nan_of_a_model_is_refused_with_the_part_that_gave_it():
    bad = Bigram(torch.full((3, 3), math.nan), hears=False)
    with pytest.raises(AsrkdError, match="the lm model gives NaN for token 1"):
        search(Bigram(torch.zeros(3, 3)), torch.zeros(1, 4, 3), [4], SearchOptions(), bad)


def test_frames_that_do_not_fit_are_the_callers_mistake():
    with pytest.raises(ValueError, match="expected encoded"):
        search(Bigram(torch.zeros(3, 3)), torch.zeros(2, 4, 3), [4], SearchOptions())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"length_norm": "sqrt"}, "--length-norm sqrt: expected one of none, length, gnmt"),
        ({"length_norm": "gnmt", "alpha": -1.0}, "--alpha -1.0: expected 0 or more"),
        ({"alpha": 0.9}, "--alpha 0.9: has no effect without --length-norm gnmt; add it"),
        ({"length_norm": "length", "alpha": 0.9}, "--alpha 0.9: has no effect without --length-norm gnmt"),
        ({"eos_factor": 0.0}, "--eos-factor"),
        ({"max_length_ratio": 0.0}, "--max-length-ratio"),
        ({"lm_weight": -0.1}, "--lm-weight"),
        ({"token_bonus": math.inf}, "--token-bonus"),
        ({"ctc_weight": 1.1}, "--ctc-weight"),
    ],
)
def test_options_out_of_range_or_without_effect_are_refused(wrong, said):
    with pytest.raises(AsrkdError, match=said):
        replace(DecoderOptions(), **wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_finds_what_the_cpu_finds():
    torch.manual_seed(3)
    model, encoded = Gru(num_tokens=7, dim=5).requires_grad_(False), audio(3, (4, 20, 5))
    lengths = [20, 3, 11, 20]
    options = SearchOptions(4, 4, decoder=RULES[4])
    expected = search(model, encoded, lengths, options)
    found = search(model.cuda(), encoded.cuda(), lengths, options)
    assert [[own.tokens for own in mine] for mine in found] == [
        [own.tokens for own in mine] for mine in expected
    ]
