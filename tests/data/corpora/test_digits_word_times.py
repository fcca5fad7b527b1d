"""Word times against what is heard where."""

import numpy as np
import pytest

from asrkd.data.corpora.digits.audio import resample
from asrkd.data.corpora.digits.espeak import SAMPLING_RATE, EspeakOutput, Request
from asrkd.data.corpora.digits.options import DigitsOptions
from asrkd.data.corpora.digits.plan import plan_utterance
from asrkd.data.corpora.digits.speaking import speak
from asrkd.data.corpora.digits.word_times import word_times


@pytest.fixture(scope="module")
def spoken():
    """(text, speech) of the first thirty utterances of a corpus."""
    utterances = [plan_utterance(DigitsOptions(seed=3), "train", number) for number in range(30)]
    speeches = speak([utterance.request() for utterance in utterances])
    return [(utterance.text, speech) for utterance, speech in zip(utterances, speeches, strict=True)]


def speech_of(num_samples: int, words, phonemes=()) -> EspeakOutput:
    return EspeakOutput(bytes(2 * num_samples), tuple(words), tuple(phonemes))


def test_every_word_has_its_time_in_order_and_inside_the_audio(spoken):
    for text, speech in spoken:
        times = word_times(text, speech)
        assert [time.word for time in times] == text.split()
        borders = [border for time in times for border in (time.start_s, time.end_s)]
        assert borders == sorted(borders)
        assert borders[0] >= 0
        assert borders[-1] <= len(speech.pcm) / 2 / SAMPLING_RATE
        assert all(time.end_s - time.start_s > 0.02 for time in times)


def test_it_is_quiet_outside_the_words_and_not_inside(spoken):
    for text, speech in spoken:
        samples = np.frombuffer(speech.pcm, np.int16).astype(float)
        end = round(word_times(text, speech)[-1].end_s * SAMPLING_RATE)
        after = samples[end + round(0.03 * SAMPLING_RATE) :]
        assert np.abs(after).max(initial=0) < 0.1 * np.abs(samples).max()
        assert samples[:end].std() > 100


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_the_hiss_of_six_is_heard_where_six_is(place):
    """Energy above 4 kHz: a six among ones and nines has it nearly all."""
    words = ["nine", "one", "nine"]
    words.insert(place, "six")
    (speech,) = speak([Request(" ".join(words), "en-us", "m3", 150, 50, 50)])
    six = word_times(" ".join(words), speech)[place]
    high = resample(speech.pcm, SAMPLING_RATE)
    spectrum = np.fft.rfft(high)
    spectrum[np.fft.rfftfreq(len(high), 1 / SAMPLING_RATE) < 4000] = 0
    energy = np.fft.irfft(spectrum, len(high)) ** 2
    inside = energy[round(six.start_s * SAMPLING_RATE) : round(six.end_s * SAMPLING_RATE)].sum()
    assert inside > 0.9 * energy.sum()


def test_a_word_lasts_about_as_long_as_alone():
    """In a list, neighbors shorten a word by less than a third."""
    sentence, alone = speak(
        [Request(text, "en", "m3", 150, 50, 50) for text in ("friday sunday monday", "friday")]
    )
    in_list, single = word_times("friday sunday monday", sentence)[0], word_times("friday", alone)[0]
    assert in_list.end_s - in_list.start_s == pytest.approx(single.end_s - single.start_s, rel=1 / 3)


def test_words_of_one_event_share_it_by_their_letters():
    speech = speech_of(10 * SAMPLING_RATE, [(0, 0), (7, 5 * SAMPLING_RATE)])
    times = word_times("in the end", speech)
    assert [(time.word, time.start_s, time.end_s) for time in times] == [
        ("in", 0, pytest.approx(2)),
        ("the", pytest.approx(2), 5),
        ("end", 5, 10),
    ]


def test_words_merged_by_espeak_get_an_interval_each():
    (speech,) = speak([Request("turn on the light", "en", "m3", 150, 50, 50)])
    assert len(speech.words) == 3
    on, the = word_times("turn on the light", speech)[1:3]
    assert on.end_s == the.start_s
    assert (the.end_s - the.start_s) / (on.end_s - on.start_s) == pytest.approx(3 / 2)


def test_a_pause_belongs_to_no_word():
    phonemes = [("a", 0), ("_:", 3000), ("_", 4000), ("b", 5500), ("c", 6000), ("_", 8000)]
    first, second = word_times("a bc", speech_of(9000, [(0, 0), (2, 5000)], phonemes))
    assert first.end_s == 3000 / SAMPLING_RATE
    assert (second.start_s, second.end_s) == (5000 / SAMPLING_RATE, 8000 / SAMPLING_RATE)


def test_a_pause_inside_a_word_belongs_to_it():
    phonemes = [("a", 0), ("_|", 1000), ("b", 2000), ("c", 5000)]
    first, _ = word_times("ab c", speech_of(9000, [(0, 0), (3, 5000)], phonemes))
    assert first.end_s == 5000 / SAMPLING_RATE


def test_speech_of_something_else_is_refused():
    with pytest.raises(ValueError, match="no event for the first word"):
        word_times("in the end", speech_of(10, [(4, 0)]))
