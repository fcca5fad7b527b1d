"""Background noise of four kinds, each a function of a random generator.

Notation: S samples of one channel.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Gain = Callable[[Signal], Signal]

_PINK_FROM_HZ = 20.0  # flat below, as inaudible rumble would count in the signal-to-noise ratio
_BABBLE_VOICES = 6
_BABBLE_BAND_HZ = (150.0, 3500.0)
_SYLLABLES_HZ = (2.0, 6.0)  # modulation rates of speech
_MAINS_HZ = (50.0, 60.0)
_HUM_HARMONICS = 8
_HUM_FLOOR = 0.1  # amplitude of the white noise under the hum, which has 1


def make_noise(kind: str, num_samples: int, sampling_rate: int, rng: np.random.Generator) -> Signal:
    """Generate noise of shape (S,) with mean square 1.

    Args:
        kind: "white", "pink" (power falls with frequency, 3 dB an octave),
            "babble" (bands modulated like syllables) or "hum" (mains harmonics).
        num_samples: S, number of samples, at least 1.
        sampling_rate: sampling rate of the noise, in Hz.
        rng: generator of all samples.

    Raises:
        ValueError: no such kind, or S is not positive.
    """
    if kind not in _KINDS or num_samples < 1:
        raise ValueError(
            f"make_noise({kind!r}, {num_samples}): expected a sample and one of {sorted(_KINDS)}"
        )
    noise = _KINDS[kind](num_samples, sampling_rate, rng)
    power = float(np.mean(noise**2))
    return noise / np.sqrt(power) if power > 0 else noise


def mix(speech: Signal, noise: Signal, snr_db: float) -> Signal:
    """Add noise to speech, scaled to a ratio of their mean squares of ``snr_db``; shapes (S,).

    Both powers are means over the whole signal, pauses included.

    Raises:
        ValueError: the shapes differ, or the noise is silent.
    """
    noise_power = float(np.mean(noise**2))
    if speech.shape != noise.shape or noise_power == 0:
        raise ValueError(f"noise {noise.shape} of power {noise_power} for speech {speech.shape}")
    target = float(np.mean(speech**2)) / 10 ** (snr_db / 10)
    mixture: Signal = speech + noise * np.sqrt(target / noise_power)
    return mixture


def _white(num_samples: int, _sampling_rate: int, rng: np.random.Generator) -> Signal:
    return rng.standard_normal(num_samples)


def _pink(num_samples: int, sampling_rate: int, rng: np.random.Generator) -> Signal:
    return _shaped(num_samples, sampling_rate, lambda f: 1 / np.sqrt(np.maximum(f, _PINK_FROM_HZ)), rng)


def _babble(num_samples: int, sampling_rate: int, rng: np.random.Generator) -> Signal:
    time_s = np.arange(num_samples) / sampling_rate
    total = np.zeros(num_samples)
    for _ in range(_BABBLE_VOICES):
        center = np.exp(rng.uniform(*np.log(_BABBLE_BAND_HZ)))  # uniform in pitch, not in Hz
        envelope = 1 + np.sin(2 * np.pi * (rng.uniform(*_SYLLABLES_HZ) * time_s + rng.uniform()))
        total += envelope * _shaped(num_samples, sampling_rate, _band(center), rng)
    return total


def _band(center: float) -> Gain:
    """Return a Gaussian gain around ``center`` Hz, about two octaves wide."""
    return lambda f: np.exp(-0.5 * np.log2(np.maximum(f, 1) / center) ** 2)


def _hum(num_samples: int, sampling_rate: int, rng: np.random.Generator) -> Signal:
    time_s = np.arange(num_samples) / sampling_rate
    mains = rng.choice(_MAINS_HZ)
    total = _HUM_FLOOR * _white(num_samples, sampling_rate, rng)
    for harmonic in range(1, _HUM_HARMONICS + 1):
        amplitude = rng.uniform(0.5, 1) / harmonic
        total += amplitude * np.sin(2 * np.pi * (harmonic * mains * time_s + rng.uniform()))
    return total


def _shaped(num_samples: int, sampling_rate: int, gain: Gain, rng: np.random.Generator) -> Signal:
    """Generate Gaussian noise with the amplitude ``gain`` of the frequency in Hz.

    The spectrum is drawn at a power of two, as the transform is slow for a
    length with large prime factors.
    """
    size = 1 << (num_samples - 1).bit_length()
    frequencies: Signal = np.asarray(np.fft.rfftfreq(size, 1 / sampling_rate), dtype=np.float64)
    spectrum = rng.standard_normal(2 * len(frequencies)).view(np.complex128) * gain(frequencies)
    return np.fft.irfft(spectrum, size)[:num_samples]


_KINDS: dict[str, Callable[[int, int, np.random.Generator], Signal]] = {
    "white": _white,
    "pink": _pink,
    "babble": _babble,
    "hum": _hum,
}
