"""Weights of hypotheses, each summed by hand."""

from math import exp

import pytest
from pydantic import ValidationError

from asrkd.targets.sources.nbest_weights import WeightHistogram, list_weights, posteriors
from asrkd.targets.sources.settings import FilterSettings, SequenceSettings, WeightSettings

LOG_PROBS = [-1.0, -2.0, -4.0]
WERS = [0.25, 0.0, 1.5]


def weights(**settings) -> list[float]:
    return list_weights(LOG_PROBS, WERS, WeightSettings(**settings))


def test_seq_kd_weights_are_equal_and_sum_to_a_transcripts():
    assert weights() == pytest.approx([1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("beta", [1, 2, 5])
def test_err_kd_is_the_posters_curve_over_the_list_length(beta):
    expected = [exp(-beta * 0.25) / 3, 1 / 3, exp(-beta * 1.5) / 3]
    assert weights(beta=beta) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("beta", "drawn"),
    [
        (1, [0.990, 0.951, 0.905, 0.670, 0.497, 0.368]),
        (2, [0.980, 0.905, 0.819, 0.449, 0.247, 0.135]),
        (5, [0.951, 0.779, 0.607, 0.135, 0.030, 0.007]),
    ],
)
def test_a_single_hypothesis_has_the_posters_values(beta, drawn):
    settings = WeightSettings(beta=beta)
    found = [list_weights([-3.0], [wer], settings)[0] for wer in (0.01, 0.05, 0.1, 0.4, 0.7, 1)]
    assert found == pytest.approx(drawn, abs=5e-4)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"posterior": True},
        {"normalized": True},
        {"rank_beta": 2.0},
        {"posterior": True, "temperature": 5},
    ],
)
def test_one_correct_hypothesis_weighs_as_a_transcript(variant):
    for beta in (0.0, 5.0):
        assert list_weights([-7.0], [0.0], WeightSettings(beta=beta, **variant)) == [1.0]


def test_the_posterior_is_a_softmax_with_temperature():
    sums = exp(-1) + exp(-2) + exp(-4)
    assert weights(posterior=True) == pytest.approx([exp(-1) / sums, exp(-2) / sums, exp(-4) / sums])
    softer = exp(-0.25) + exp(-0.5) + exp(-1)
    expected = [exp(-0.25) / softer, exp(-0.5) / softer, exp(-1) / softer]
    assert weights(posterior=True, temperature=4) == pytest.approx(expected)
    with_errors = [value * exp(-2 * wer) for value, wer in zip(expected, WERS, strict=True)]
    assert weights(posterior=True, temperature=4, beta=2) == pytest.approx(with_errors)


def test_posteriors_of_scores_far_below_zero_do_not_underflow():
    assert posteriors([-9000.0, -9001.0]) == pytest.approx([1 / (1 + exp(-1)), exp(-1) / (1 + exp(-1))])
    assert posteriors([float("-inf")]) == [1.0]  # nothing was possible: the empty text stands alone


def test_ranks_weigh_exponentially_and_multiply_the_posterior():
    ranks = [1 / (1 + exp(-2) + exp(-4)) * exp(-2 * rank) for rank in range(3)]
    assert weights(rank_beta=2) == pytest.approx(ranks)
    posterior = weights(posterior=True)
    both = [rank * share for rank, share in zip(ranks, posterior, strict=True)]
    assert weights(rank_beta=2, posterior=True) == pytest.approx(both)


def test_normalized_weights_sum_to_one_and_keep_their_ratios():
    plain, normalized = weights(beta=2), weights(beta=2, normalized=True)
    assert sum(normalized) == pytest.approx(1)
    assert normalized == pytest.approx([weight / sum(plain) for weight in plain])


def test_weights_that_all_vanish_stay_what_they_are():
    assert list_weights([-1.0], [400.0], WeightSettings(beta=5, normalized=True)) == [0.0]


def test_the_histogram_counts_weights_as_multiples_of_seq_kds():
    histogram = WeightHistogram()
    histogram.add([0.5, 0.25])  # 1 and 0.5
    histogram.add([0.0, 0.02, 0.1 / 3])  # 0, 0.06, 0.1
    assert histogram.counts == [3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert histogram.text() == (
        "weights of 5 hypotheses, relative to Seq-KD: mean 0.332; to .1 60%, to .5 20%, 1 or more 20%"
    )


def test_impossible_or_ineffective_settings_are_refused():
    for wrong, message in (
        ({"weights": {"beta": 1}}, "weights is for N-best stores"),
        ({"filter": {"max_repeats": 2}}, "filter is for N-best stores"),
        ({"expand": True}, "expand is for N-best stores"),
        ({"cuts": "untranscribed"}, "have no transcript"),
        ({"targets": "x", "cuts": "untranscribed", "weights": {"beta": 1}}, "need transcripts"),
        ({"targets": "x", "weights": {"temperature": 2}}, "set posterior: true"),
        ({"targets": "x", "filter": {"words_per_second": [3, 1]}}, "expected the lowest first"),
    ):
        with pytest.raises(ValidationError, match=message):
            SequenceSettings(**wrong)
    assert SequenceSettings(targets="x", filter=FilterSettings(max_wer=0.1)).needs_errors
