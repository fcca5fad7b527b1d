"""What teachers of audio are given: a cut's own samples, at their rate, normalized by themselves."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from lhotse import MonoCut, Recording

from asrkd.core.errors import AsrkdError
from asrkd.teachers.audio import AudioInput, normalize

INPUT = AudioInput(sampling_rate=16000, epsilon=1e-7, shortest=400, longest=None)


def cut_of(path, samples, rate: int = 16000) -> MonoCut:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    recording = Recording.from_file(path, recording_id=path.stem)
    return MonoCut(path.stem, 0.0, recording.duration, 0, recording=recording)


def test_an_utterance_has_mean_0_and_variance_1_by_numpys_count():
    samples = np.random.default_rng(0).normal(0.3, 0.01, 4000).astype(np.float32)
    expected = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    found = normalize(torch.from_numpy(samples), 1e-7).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert abs(found.mean()) < 1e-3
    assert normalize(torch.zeros(400), 1e-7).tolist() == [0.0] * 400


def test_a_part_of_a_recording_is_normalized_by_itself(tmp_path):
    rng = np.random.default_rng(1)
    whole = cut_of(
        tmp_path / "a.wav", np.concatenate([rng.normal(0, 0.5, 8000), rng.normal(0.1, 0.01, 8000)])
    )
    quiet = whole.truncate(offset=0.5, preserve_id=True)
    loaded = INPUT.load(quiet)
    assert len(loaded) == 8000
    assert float(loaded.std()) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
def test_resampled_audio_keeps_its_tone_and_expected_length(tmp_path, rate):
    count = 12345
    tone = np.sin(2 * np.pi * 440 * np.arange(count) / rate)
    cut = cut_of(tmp_path / "tone.wav", tone, rate)
    loaded = replace(INPUT, epsilon=None, resample=True).load(cut)
    assert len(loaded) == int(count / rate * 16000 + 0.5)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(loaded)) / 16000)
    middle = slice(400, -400)
    np.testing.assert_allclose(loaded.numpy()[middle], expected[middle], atol=2e-2)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_a_speed_perturbed_copy_is_read_perturbed(tmp_path, speed):
    cut = cut_of(tmp_path / "tone.wav", np.sin(np.arange(16001) / 7))
    copy = cut.perturb_speed(speed)
    loaded = replace(INPUT, epsilon=None).load(copy)
    assert len(loaded) == copy.num_samples
    np.testing.assert_array_equal(loaded.numpy(), copy.load_audio()[0])


def test_another_rate_needs_the_resample_option(tmp_path):
    cut = cut_of(tmp_path / "low.wav", np.ones(8000), 8000)
    with pytest.raises(AsrkdError, match="cuts: cut low has 8000 Hz, HUBERT reads 16000 Hz; add --resample"):
        INPUT.check([cut], "cuts", "HUBERT")
    replace(INPUT, resample=True).check([cut], "cuts", "HUBERT")


def test_what_is_too_short_for_a_frame_or_too_long_is_named(tmp_path):
    short = cut_of(tmp_path / "short.wav", np.ones(399))
    with pytest.raises(AsrkdError, match=r"cut short has 0.0249375 s, HUBERT needs 0.025 s for a frame"):
        INPUT.check([short], "cuts", "HUBERT")
    long = cut_of(tmp_path / "long.wav", np.ones(32001))
    with pytest.raises(AsrkdError, match=r"cut long has 2.00006 s, whisper reads 2 s at most"):
        replace(INPUT, longest=32000).check([long], "cuts", "whisper")


def test_audio_that_is_gone_or_broken_is_told_with_its_cut(tmp_path):
    cut = cut_of(tmp_path / "gone.wav", np.ones(800))
    (tmp_path / "gone.wav").unlink()
    with pytest.raises(AsrkdError, match=r"cut gone: no such file; .*asrkd check"):
        INPUT.load(cut)
    with pytest.raises(AsrkdError, match="cut gone: has no audio"):
        INPUT.load(replace(cut, recording=None))
