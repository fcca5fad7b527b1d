"""Rules that leave hypotheses out: what each removes, and what it says of that."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrkd.targets.nbest import Nbest
from asrkd.targets.sources.nbest_filters import ListFilter, most_repeats
from asrkd.targets.sources.settings import FilterSettings
from tests.nbest_lists import nbest

LIST = nbest(["ONE TWO", "TWO TWO TWO", ""], [-3.5, -4.5, -9.0], [0, 2, 2], 2)  # 7, 11 and 0 tokens


def left(nbest_list: Nbest = LIST, seconds: float = 2.0, **rules) -> list[str]:
    return ListFilter(FilterSettings(**rules))("cut", nbest_list, seconds).texts


def test_without_rules_all_stay():
    assert left() == LIST.texts


def test_unsure_lists_are_dropped_by_best_score_per_token():
    assert left(min_confidence=-0.51) == LIST.texts  # 3.5 nats over 7 tokens
    assert left(min_confidence=-0.49) == []
    assert left(nbest([""], [-0.4]), min_confidence=-0.3) == []  # no tokens count as one


def test_a_disputed_best_takes_its_list_along():
    # 1 / (1 + exp(-1) + exp(-5.5)) = 0.7281
    assert left(min_posterior=0.72) == LIST.texts
    assert left(min_posterior=0.74) == []


@pytest.mark.parametrize(
    ("rule", "stay"),
    [
        ({"words_per_second": [0.5, 1.25]}, ["ONE TWO"]),  # 1, 1.5 and 0 words a second
        ({"words_per_second": [0, 1.5]}, LIST.texts),
        ({"tokens_per_second": [1, 5]}, ["ONE TWO"]),  # 3.5, 5.5 and 0
        ({"max_repeats": 2}, ["ONE TWO", ""]),
        ({"max_repeats": 3}, LIST.texts),
        ({"max_wer": 0.99}, ["ONE TWO"]),
        ({"max_wer": 1.0}, LIST.texts),
    ],
)
def test_each_hypothesis_is_judged_by_itself(rule, stay):
    assert left(**rule) == stay


def test_a_limit_on_errors_needs_a_transcript():
    assert left(replace(LIST, num_words=None), max_wer=0.1) == LIST.texts


def brute_force_repeats(words: list[str]) -> int:
    most = min(len(words), 1)
    for start, size in itertools.product(range(len(words)), range(1, len(words) + 1)):
        piece, times = words[start : start + size], 0
        while words[start + times * size : start + (times + 1) * size] == piece:
            times += 1
        most = max(most, times)
    return most


@given(st.lists(st.sampled_from("ab"), max_size=9))
def test_repeats_are_those_of_every_piece_tried_at_every_place(words):
    assert most_repeats(words) == brute_force_repeats(words)


def test_what_is_removed_is_told_in_hours_with_examples():
    rules = ListFilter(FilterSettings(max_repeats=2, max_wer=0.5))
    rules("a", LIST, 36.0)
    rules("b", nbest(["NO NO NO NO"], [-1.0], [1], 4), 72.0)
    rules("c", nbest(["YES"], [-1.0], [1], 1), 108.0)
    loops, errors = rules.lines()
    assert loops == (
        "max_repeats 2 removed 2 hypotheses of 2 cuts, all of 1 cuts (0.020 h), "
        "e.g. a 'TWO TWO TWO' (3 times in a row); b 'NO NO NO NO' (4 times in a row)"
    )
    assert errors == (
        "max_wer 0.5 removed 2 hypotheses of 2 cuts, all of 1 cuts (0.030 h), "
        "e.g. a '' (WER 100.0%); c 'YES' (WER 100.0%)"
    )
