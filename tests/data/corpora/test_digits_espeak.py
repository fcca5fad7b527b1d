"""espeak-ng: what was asked is what is heard, or an error."""

import subprocess
import sys

import numpy as np
import pytest

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.digits import espeak
from asrkd.data.corpora.digits.espeak import Request
from asrkd.data.corpora.digits.speaking import speak


def request(text="call anna", voice="en-us", variant="f3", rate=170, pitch=50, pitch_range=50) -> Request:
    return Request(text, voice, variant, rate, pitch, pitch_range)


def fundamental_hz(pcm: bytes) -> float:
    """Median pitch of the loud frames, by autocorrelation between 60 and 400 Hz."""
    samples = np.frombuffer(pcm, np.int16).astype(float)
    found = []
    for start in range(0, len(samples) - 1024, 512):
        frame = samples[start : start + 1024] - samples[start : start + 1024].mean()
        correlation = np.correlate(frame, frame, "full")[1023:]
        lag = 55 + int(correlation[55:368].argmax())
        if frame.std() > 500 and correlation[lag] > 0.6 * correlation[0]:
            found.append(espeak.SAMPLING_RATE / lag)
    return float(np.median(found))


@pytest.mark.parametrize("voice", ["en-gb", "xx"])
def test_an_unknown_voice_is_an_error(voice):
    with pytest.raises(AsrkdError, match=rf"no voice {voice}\+f3.*pip install"):
        speak([request(), request(voice=voice)])


@pytest.mark.parametrize("variant", ["nonsense", "F3"])
def test_an_unknown_variant_is_an_error(variant):
    with pytest.raises(AsrkdError, match=rf"no voice en-us\+{variant}.*pip install"):
        speak([request(variant=variant)])


def test_an_unknown_voice_is_not_replaced_by_the_last_one():
    code = (
        "from asrkd.data.corpora.digits.espeak import Espeak\nfrom asrkd.core.errors import AsrkdError\n"
        "speaker = Espeak()\nspeaker.set_voice('en-us', 'f3')\n"
        "try: speaker.set_voice('en-gb', 'f3')\nexcept AsrkdError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("espeak-ng has no voice en-gb+f3 (it chose 'gmw/en-US+f3')"), done.stderr


def test_a_missing_library_is_an_error_with_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(AsrkdError, match="pip install espeakng-loader"):
        espeak.Espeak()


@pytest.mark.parametrize("changes", [{"rate": 79}, {"rate": 451}, {"pitch": 100}, {"pitch_range": -1}])
def test_a_number_out_of_range_is_refused_and_not_replaced(changes):
    with pytest.raises(ValueError, match="expected a rate of 80..450"):
        request(**changes)


def test_a_request_that_makes_no_sense_is_a_bug_and_not_silence():
    with pytest.raises(RuntimeError, match="AttributeError"):
        speak([request(text=None)])


def test_an_answer_depends_on_its_request_alone():
    requests = [
        request(text, variant=v) for text in ("zero", "turn off the fan") for v in ("m1", "f5", "Denis")
    ]
    forwards, backwards = speak(requests), speak(requests[::-1])
    assert forwards == backwards[::-1]
    assert [speak([one])[0] for one in requests[:2]] == forwards[:2]


def test_twice_as_many_words_a_minute_take_half_as_long():
    slow, fast = speak([request("remind david on friday", rate=rate) for rate in (120, 240)])
    assert len(fast.pcm) / len(slow.pcm) == pytest.approx(0.5, abs=0.08)


def test_a_higher_pitch_is_heard():
    low, high = speak([request("nine nine nine", "en", "m3", pitch=pitch) for pitch in (25, 75)])
    assert fundamental_hz(high.pcm) > 1.25 * fundamental_hz(low.pcm)


def test_a_signal_to_the_process_group_tears_no_speech():
    code = (
        "import os, signal, threading\n"
        "from asrkd.data.corpora.digits.espeak import Request\n"
        "from asrkd.data.corpora.digits.speaking import speak\n"
        "from asrkd.core.stopping import stop_requests\n"
        "with stop_requests() as stop:\n"
        "    threading.Timer(0.1, os.killpg, (0, signal.SIGTERM)).start()\n"
        "    spoken = speak([Request('set the alarm', 'en', 'm1', 170, 50, 50)] * 40)\n"
        "    print(len(spoken), stop.reason())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True
    )
    assert done.stdout == "40 SIGTERM\n", done.stderr
