"""The noises: their power, their spectra, and how loud they are in a mixture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrkd.data.corpora.digits.noise import make_noise, mix
from asrkd.data.corpora.digits.plan import NOISES

RATE = 16000


def noise_of(kind: str, num_samples: int = 4 * RATE, seed: int = 0) -> np.ndarray:
    return make_noise(kind, num_samples, RATE, np.random.default_rng(seed))


def octave_powers_db(signal: np.ndarray) -> np.ndarray:
    """Mean power density of the octaves from 62.5 to 8000 Hz."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    edges = 62.5 * 2.0 ** np.arange(8)
    pairs = zip(edges, edges[1:], strict=False)
    return np.array(
        [10 * np.log10(power[(frequencies >= low) & (frequencies < high)].mean()) for low, high in pairs]
    )


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("num_samples", [1, 2, 7919, 16000])
def test_noise_has_mean_square_one_at_any_length(kind, num_samples):
    noise = noise_of(kind, num_samples)
    assert noise.shape == (num_samples,)
    assert np.mean(noise**2) == pytest.approx(1)


@pytest.mark.parametrize("kind", NOISES)
def test_noise_follows_from_its_generator(kind):
    np.testing.assert_array_equal(noise_of(kind), noise_of(kind))
    assert abs(np.corrcoef(noise_of(kind), noise_of(kind, seed=3))[0, 1]) < 0.9


def test_white_noise_is_flat():
    assert np.ptp(octave_powers_db(noise_of("white", 20 * RATE))) < 1.5


def test_pink_noise_falls_three_decibels_an_octave():
    np.testing.assert_allclose(np.diff(octave_powers_db(noise_of("pink", 20 * RATE))), -3.01, atol=1)


def test_hum_is_at_the_harmonics_of_the_mains():
    power = np.abs(np.fft.rfft(noise_of("hum") * np.hanning(4 * RATE))) ** 2  # bins of 0.25 Hz
    at = max(
        sum(power[4 * mains * n - 2 : 4 * mains * n + 3].sum() for n in range(1, 9)) for mains in (50, 60)
    )
    assert at > 0.9 * power.sum()


def test_babble_is_modulated_like_syllables_and_white_is_not():
    def unsteadiness(kind: str) -> float:
        levels = noise_of(kind, 8 * RATE).reshape(-1, RATE // 20).std(axis=1)  # of 50 ms
        return float(levels.std() / levels.mean())

    assert unsteadiness("babble") > 0.15 > 3 * unsteadiness("white")


@given(snr_db=st.floats(-20, 60), speech_level=st.floats(1e-4, 1), noise_level=st.floats(1e-4, 1))
def test_the_ratio_in_a_mixture_is_what_was_asked(snr_db, speech_level, noise_level):
    rng = np.random.default_rng(1)
    speech, noise = speech_level * rng.standard_normal(1000), noise_level * rng.standard_normal(1000)
    rest = mix(speech, noise, snr_db) - speech
    measured_db = 20 * np.log10(np.linalg.norm(speech) / np.linalg.norm(rest))
    assert measured_db == pytest.approx(snr_db, abs=0.01)


def test_silence_stays_silent():
    assert not mix(np.zeros(100), np.ones(100), 10).any()


def test_noise_that_cannot_be_made_or_mixed_is_refused():
    with pytest.raises(ValueError, match=r"'brown'.*white"):
        noise_of("brown")
    with pytest.raises(ValueError, match="expected a sample"):
        noise_of("white", 0)
    with pytest.raises(ValueError, match=r"noise \(3,\)"):
        mix(np.ones(2), np.ones(3), 10)
    with pytest.raises(ValueError, match="power 0"):
        mix(np.ones(2), np.zeros(2), 10)
