"""Samples of an utterance from the output of espeak-ng: sampling rate, silence, noise, level.

Notation: S samples of one channel.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asrkd.data.corpora.digits import espeak
from asrkd.data.corpora.digits.noise import Signal, make_noise, mix
from asrkd.data.corpora.digits.plan import PlannedUtterance

_FULL_SCALE = 32767  # largest sample of 16 bits


def render(utterance: PlannedUtterance, pcm: bytes, sampling_rate: int) -> NDArray[np.int16]:
    """Render the samples of an utterance, shape (S,), at ``sampling_rate`` Hz.

    Args:
        utterance: plan of the utterance.
        pcm: output of espeak-ng: 16 bits, one channel, at espeak-ng's rate.
        sampling_rate: sampling rate of the result, in Hz.
    """
    speech = with_silence(resample(pcm, sampling_rate), utterance, sampling_rate)
    rng = np.random.default_rng(utterance.noise_seed)
    noise = make_noise(utterance.noise, len(speech), sampling_rate, rng)
    return to_pcm16(mix(speech, noise, utterance.snr_db), utterance.gain_db)


def resample(pcm: bytes, sampling_rate: int) -> Signal:
    """Resample the output of espeak-ng to (S,) at ``sampling_rate`` Hz, in units of full scale."""
    samples = np.frombuffer(pcm, dtype=np.int16) / np.float32(_FULL_SCALE + 1)
    if sampling_rate == espeak.SAMPLING_RATE:
        native: Signal = samples.astype(np.float64)
        return native
    import torch

    resampled: Signal = _resampler(sampling_rate)(torch.from_numpy(samples)).numpy().astype(np.float64)
    return resampled


def with_silence(speech: Signal, utterance: PlannedUtterance, sampling_rate: int) -> Signal:
    """Put ``speech`` (S,), at ``sampling_rate`` Hz, between the planned silences: (S',) in all."""
    lead, tail = (round(seconds * sampling_rate) for seconds in (utterance.lead_s, utterance.tail_s))
    return np.pad(speech, (lead, tail))


def to_pcm16(signal: Signal, peak_db: float) -> NDArray[np.int16]:
    """Convert ``signal`` (S,) to 16 bits, (S,), with its peak at ``peak_db`` dB relative to full scale.

    A peak at 0 dB or less does not clip; silence stays silence.
    """
    peak = float(np.abs(signal).max(initial=0.0))
    scale = _FULL_SCALE * 10 ** (peak_db / 20) / peak if peak else 0.0
    samples: NDArray[np.int16] = np.rint(signal * scale).astype(np.int16)
    return samples


@lru_cache(maxsize=4)
def _resampler(sampling_rate: int) -> Any:
    """Return torchaudio's resampler; cached, as its filters take longer than an utterance."""
    from torchaudio.transforms import Resample

    return Resample(espeak.SAMPLING_RATE, sampling_rate)
