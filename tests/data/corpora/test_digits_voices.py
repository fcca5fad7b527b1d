"""The speakers: as many as there should be, all different, and really in espeak-ng."""

from collections import Counter
from pathlib import Path

import espeakng_loader
import pytest

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.digits.espeak import Request
from asrkd.data.corpora.digits.speaking import speak
from asrkd.data.corpora.digits.voices import NUM_SPEAKERS, VARIANTS, VOICES, speaker


def test_no_two_speakers_share_voice_and_variant():
    everybody = [speaker(1, number) for number in range(NUM_SPEAKERS)]
    assert Counter((who.voice, who.variant) for who in everybody).most_common(1)[0][1] == 1
    assert len({who.id for who in everybody}) == NUM_SPEAKERS == 240


def test_a_speaker_follows_from_seed_and_number():
    assert speaker(5, 17) == speaker(5, 17)
    others = {(who.voice, who.variant) for who in (speaker(seed, 17) for seed in range(20))}
    assert len(others) > 10


@pytest.mark.parametrize("number", [-1, NUM_SPEAKERS])
def test_a_speaker_that_is_not_there_is_refused(number):
    with pytest.raises(AsrkdError, match="--num-speakers.*there are 240"):
        speaker(1, number)


def test_every_variant_is_a_file_of_the_synthesizer():
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    assert set(VARIANTS) <= {path.name for path in folder.iterdir()}


def test_every_voice_is_known_and_they_all_sound_different():
    """Had espeak-ng fallen back on another voice, two of these would be equal."""
    requests = [Request("remind david", voice, "m3", 170, 50, 50) for voice in VOICES]
    requests += [
        Request("remind david", "en", variant, 170, 50, 50) for variant in VARIANTS if variant != "m3"
    ]
    assert len({speech.pcm for speech in speak(requests)}) == len(VOICES) + len(VARIANTS) - 1
