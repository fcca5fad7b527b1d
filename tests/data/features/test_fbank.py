"""Log-mel features against torchaudio's Kaldi port, and against pure tones."""

import math

import numpy as np
import pytest
import torch
import torchaudio

from asrkd.core.errors import AsrkdError
from asrkd.data.features.fbank import FeatureOptions, make_extractor


def noise(num_samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(3).standard_normal((1, num_samples))).astype("float32")


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("num_mel_bins", [23, 80])
def test_every_value_is_that_of_torchaudios_kaldi_port(rate, num_mel_bins):
    samples = noise(rate // 2 + 77)
    expected = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(samples),
        sample_frequency=rate,
        num_mel_bins=num_mel_bins,
        snip_edges=False,
        dither=0.0,
        low_freq=20.0,
        high_freq=-400.0,
        window_type="povey",
    )
    found = make_extractor(num_mel_bins, rate).extract(samples, rate)
    assert found.shape == (round((rate // 2 + 77) / (rate / 100)), num_mel_bins)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 3000.0])
def test_a_tone_is_loudest_in_its_mel_band(frequency):
    rate, bins = 16000, 80

    def mel(hertz: float) -> float:
        return 1127 * math.log(1 + hertz / 700)

    tone = np.sin(2 * np.pi * frequency * np.arange(rate) / rate)[None].astype("float32")
    found = make_extractor(bins, rate).extract(tone, rate)[50]
    width = (mel(7600) - mel(20)) / (bins + 1)
    assert abs(found.argmax() - ((mel(frequency) - mel(20)) / width - 1)) <= 0.75


def test_ten_times_the_amplitude_adds_ln_100():
    extractor = make_extractor(23, 8000)  # with 80, the lowest bands are so narrow that they reach the floor
    quiet, loud = (extractor.extract(gain * noise(8000), 8000) for gain in (0.1, 1.0))
    np.testing.assert_allclose(loud - quiet, math.log(100), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"num_mel_bins": 0}, "--num-mel-bins 0"), ({"sampling_rate": 8}, "--sampling-rate 8:")],
)
def test_impossible_options_are_refused(options, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        FeatureOptions(**options)
