"""Utterances held out by recording, against their definition and an exhaustive search."""

import csv
import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrkd.data.cuts.hold_out import Utterance, choose_held_out, quotas

FSDD = Path(__file__).parents[4] / "shared/corpora/fsdd-connected/transcripts.tsv"


@st.composite
def corpora(draw: st.DrawFn) -> list[Utterance]:
    """Up to 20 utterances of three speakers, joined from up to four of ten recordings."""
    rows = st.tuples(st.sampled_from("abc"), st.frozensets(st.integers(0, 9), min_size=1, max_size=4))
    return [
        Utterance(f"u{number}", speaker, frozenset(f"r{recording}" for recording in recordings))
        for number, (speaker, recordings) in enumerate(draw(st.lists(rows, min_size=1, max_size=20)))
    ]


def touched(utterances, ids: set[str]) -> set[str]:
    """Ids of the utterances that share a recording with those of ``ids``."""
    recordings = {recording for each in utterances if each.id in ids for recording in each.recordings}
    return {each.id for each in utterances if each.recordings & recordings}


@given(corpora(), st.data())
def test_each_speaker_has_its_number_and_usable_ones_come_for_free(utterances, data):
    number = data.draw(st.integers(0, len(utterances)))
    ids = choose_held_out(utterances, number)
    sizes = Counter(each.speaker for each in utterances)
    held_out = Counter(each.speaker for each in utterances if each.id in ids)
    for speaker, quota in quotas(sizes, number).items():
        assert held_out[speaker] >= quota
    rest = [each for each in utterances if each.id not in touched(utterances, ids)]
    held_out_recordings = {
        recording for each in utterances if each.id in ids for recording in each.recordings
    }
    assert held_out_recordings.isdisjoint(recording for each in rest for recording in each.recordings)
    assert {each.id for each in utterances if each.recordings <= held_out_recordings} == ids


@given(corpora(), st.data())
def test_the_choice_does_not_depend_on_the_order(utterances, data):
    number = data.draw(st.integers(1, len(utterances)))
    shuffled = data.draw(st.permutations(utterances))
    assert choose_held_out(shuffled, number) == choose_held_out(utterances, number)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_speakers_have_equal_numbers_unless_they_run_out(sizes, data):
    number = data.draw(st.integers(0, sum(sizes.values())))
    shares = quotas(sizes, number)
    assert sum(shares.values()) == number
    for speaker, share in shares.items():
        assert share <= sizes[speaker]
        assert share == sizes[speaker] or share >= max(shares.values()) - 1


def test_whole_recordings_are_held_out_as_many_as_wanted():
    utterances = [Utterance(f"{s}{n}", s, frozenset({f"{s}{n}"})) for s in "abcd" for n in range(9)]
    ids = choose_held_out(utterances, 10)
    assert sorted(Counter(cut_id[0] for cut_id in ids).values()) == [2, 2, 3, 3]
    assert choose_held_out(utterances, 36) == {each.id for each in utterances}


def test_segments_of_a_recording_stay_together():
    utterances = [
        Utterance(f"{s}{r}-{n}", s, frozenset({f"{s}{r}"})) for s in "ab" for r in range(5) for n in "xyz"
    ]
    ids = choose_held_out(utterances, 8)
    assert len(ids) == 12
    assert {cut_id[:2] + end for cut_id in ids for end in ("-x", "-y", "-z")} == ids


def test_a_recording_of_two_speakers_counts_for_both():
    dialogue = [Utterance("a1", "a", frozenset({"call"})), Utterance("b1", "b", frozenset({"call"}))]
    others = [Utterance(f"{s}{n}", s, frozenset({f"{s}{n}", "noise"})) for s in "ab" for n in (2, 3, 4)]
    assert choose_held_out(dialogue + others, 2) == {"a1", "b1"}


def test_greedy_choices_are_near_the_best_of_all():
    rng = random.Random(1)
    greedy = best = chance = 0
    for _ in range(60):
        utterances = [
            Utterance(f"u{n}", "s", frozenset(rng.choices("ABCDEFGHIJKLMNOP", k=rng.randint(1, 3))))
            for n in range(10)
        ]

        def unusable(ids, utterances=utterances):
            return len(touched(utterances, set(ids)) - set(ids))

        every = list(combinations([each.id for each in utterances], 3))
        chosen = choose_held_out(utterances, 3)
        greedy += unusable(chosen)
        best += min(map(unusable, every))
        chance += sum(map(unusable, every)) / len(every)
    assert best < 0.5 * chance
    assert greedy - best < 0.2 * (chance - best)


@pytest.mark.parametrize("number", [-1, 3])
def test_more_than_there_are_is_a_wrong_call(number):
    with pytest.raises(ValueError, match="of 2 utterances"):
        choose_held_out([Utterance(name, "s", frozenset({name})) for name in "ab"], number)


@pytest.mark.skipif(not FSDD.exists(), reason="no shared/corpora/fsdd-connected here")
def test_strings_of_spoken_digits_leave_three_quarters_to_train_on():
    with FSDD.open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["split"] == "train"]
    utterances = [
        Utterance(row["utt_id"], row["speaker"], frozenset(row["parts"].split(","))) for row in rows
    ]
    ids = choose_held_out(utterances, 72)
    assert Counter(each.speaker for each in utterances if each.id in ids) == dict.fromkeys(
        ("jackson", "nicolas", "theo", "yweweler"), 18
    )
    # The best of 30 trials of a sketch of the same idea, by other code: 598 of 800 left.
    assert len(utterances) - len(touched(utterances, ids)) >= 595
