"""What is planned follows from the options, and comes out as long as it should."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.digits.espeak import SAMPLING_RATE
from asrkd.data.corpora.digits.options import SPLITS, DigitsOptions
from asrkd.data.corpora.digits.plan import NOISES, estimated_s, plan_blocks, plan_utterance
from asrkd.data.corpora.digits.speaking import speak

HOUR = DigitsOptions()


def utterances_of(options: DigitsOptions, split: str):
    return [utterance for block in plan_blocks(options, split) for utterance in block.utterances]


def test_estimated_durations_add_up_to_the_requested_minutes():
    for split, minutes in (("train", 60), ("dev", 7.2), ("test", 7.2)):
        planned = [estimated_s(utterance) for utterance in utterances_of(HOUR, split)]
        assert sum(planned) == pytest.approx(60 * minutes, abs=max(planned) / 2 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_spoken_is_within_two_percent_of_ten_minutes(seed):
    utterances = utterances_of(DigitsOptions(minutes=10, seed=seed), "train")
    spoken_s = [len(speech.pcm) / 2 / SAMPLING_RATE for speech in speak([u.request() for u in utterances])]
    total_s = sum(spoken_s) + sum(u.lead_s + u.tail_s for u in utterances)
    assert total_s == pytest.approx(600, rel=0.02)


def test_blocks_have_fifty_utterances_numbered_in_order():
    blocks = plan_blocks(HOUR, "train")
    assert {len(block.utterances) for block in blocks[:-1]} == {50}
    assert 1 <= len(blocks[-1].utterances) <= 50
    assert blocks[3].name == "block-00003"
    assert blocks[3].utterances[7].id == "digits-train-00003-0007"


def test_an_utterance_does_not_depend_on_how_many_there_are():
    some, more = (utterances_of(DigitsOptions(minutes=minutes), "train") for minutes in (2, 4))
    assert some == more[: len(some)]
    assert some[5] == plan_utterance(HOUR, "train", 5)


def test_nothing_is_too_short_to_hold_an_utterance():
    assert [len(utterances_of(DigitsOptions(minutes=1e-3), split)) for split in SPLITS] == [1, 1, 1]


def test_splits_share_no_speaker_and_all_speak_equally_often():
    speakers = {split: Counter(u.speaker.id for u in utterances_of(HOUR, split)) for split in SPLITS}
    assert [len(speakers[split]) for split in SPLITS] == [40, 8, 8]
    assert len(speakers["train"] | speakers["dev"] | speakers["test"]) == 56
    assert max(speakers["train"].values()) - min(speakers["train"].values()) <= 1


def test_another_seed_or_split_is_another_text():
    texts = [
        tuple(plan_utterance(replace(HOUR, seed=seed), split, number).text for number in range(20))
        for seed in (1, 2)
        for split in SPLITS
    ]
    assert len(set(texts)) == 6


def test_what_is_drawn_stays_in_its_bounds_and_varies():
    options = DigitsOptions(snr_db=(5, 7), gain_db=(-3, -2))
    drawn = utterances_of(options, "dev")
    assert all(5 <= u.snr_db <= 7 and -3 <= u.gain_db <= -2 for u in drawn)
    assert {u.noise for u in drawn} == set(NOISES)
    assert all(0.93 < u.rate / u.speaker.rate < 1.07 for u in drawn)
    assert min(len({u.rate / u.speaker.rate for u in drawn}), len({u.noise_seed for u in drawn})) > 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 0}, "--minutes 0"),
        ({"minutes": math.nan}, "--minutes nan"),
        ({"minutes": 1e9}, "--minutes 1000000000.0: expected more than 0, at most 60000"),
        ({"dev_minutes": -1}, "--dev-minutes -1"),
        ({"test_minutes": 0}, "--test-minutes 0"),
        ({"seed": -1}, "--seed -1"),
        ({"sampling_rate": 16001}, "--sampling-rate 16001: expected one of .*16000"),
        ({"num_speakers": 0}, "--num-speakers 0"),
        ({"num_speakers": 173}, "--num-speakers 173.*at most 240"),
        ({"snr_db": (30, 10)}, r"--snr-db \(30, 10\)"),
        ({"snr_db": (math.nan, 10)}, "--snr-db"),
        ({"snr_db": (10,)}, "--snr-db"),
        ({"gain_db": (-6, 1)}, r"--gain-db \(-6, 1\).*within -60..0 dB"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_their_flag(changes, message):
    with pytest.raises(AsrkdError, match=message):
        DigitsOptions(**changes)


def test_as_many_speakers_as_there_are_can_be_asked_for():
    assert DigitsOptions(num_speakers=172).speaker_numbers("test").stop == 240


def test_held_out_minutes_are_twelve_percent_unless_given():
    options = DigitsOptions(minutes=10, dev_minutes=3)
    assert [options.split_minutes(split) for split in SPLITS] == [10, 3, pytest.approx(1.2)]
