"""Strict decoding against lhotse's loading of good files, and every way a file can be bad."""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import MonoCut, Recording

from asrkd.data.corpora.recordings import BadAudio, audio_sha256, decode, make_cut, read_recording
from asrkd.data.corpora.utterances import CorpusUtterance

RATE = 8000


def noise(num_samples: int = RATE) -> np.ndarray:
    return (0.1 * np.random.default_rng(7).standard_normal(num_samples)).astype("float32")


def write(path: Path, samples: np.ndarray, **options: str) -> Path:
    soundfile.write(path, samples, RATE, **options)
    return path


def cut_of(path: Path, **changes: object) -> MonoCut:
    utterance = replace(CorpusUtterance(path.stem, path, "train", "list:1", "ONE", "s"), **changes)
    return make_cut(utterance, read_recording(path, utterance.recording_id or utterance.id))


def keep_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_samples_are_those_that_lhotse_loads(tmp_path, name):
    cut = cut_of(write(tmp_path / name, noise()))
    np.testing.assert_array_equal(decode(cut), cut.load_audio())


@pytest.mark.parametrize(("start", "duration"), [(0.0, 0.3), (0.25, 0.5), (0.123, 0.7), (0.4, None)])
def test_a_segment_is_lhotses_and_a_slice_of_the_whole(tmp_path, start, duration):
    samples = noise()
    path = write(tmp_path / "r.wav", samples, subtype="FLOAT")
    cut = cut_of(path, recording_id="r", start=start, duration=duration)
    first, last = round(start * RATE), round((1.0 if duration is None else start + duration) * RATE)
    np.testing.assert_array_equal(decode(cut)[0], samples[first:last])
    np.testing.assert_array_equal(decode(cut), cut.load_audio())


def test_the_header_is_read_as_lhotse_reads_it(tmp_path):
    path = write(tmp_path / "a.flac", noise())
    assert read_recording(path, "a").to_dict() == Recording.from_file(path).to_dict()


def test_the_hash_is_of_little_endian_floats_packed_by_hand():
    samples = np.array([[0.0, 0.5, -1.0]], dtype="float32")
    assert audio_sha256(samples) == hashlib.sha256(struct.pack("<3f", 0.0, 0.5, -1.0)).hexdigest()


def test_perturbed_recordings_are_loaded_by_lhotse(tmp_path):
    cut = cut_of(write(tmp_path / "a.wav", noise())).perturb_speed(1.1)
    np.testing.assert_array_equal(decode(cut), cut.load_audio())


def test_a_truncated_flac_is_found_even_below_a_perturbation(tmp_path):
    path = write(tmp_path / "a.flac", noise(30000))
    cut = cut_of(path)
    keep_half(path)
    for bad in (cut, cut.perturb_speed(0.9)):
        with pytest.raises(BadAudio, match="30000 are declared|promises 30000|unreadable: .*lost sync"):
            decode(bad)


def test_flac_that_misses_the_little_lhotse_would_pad_is_found(tmp_path):
    """lhotse reflects up to half a second of samples that are not there."""
    path = write(tmp_path / "a.flac", noise(12000))
    cut = cut_of(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadAudio, match="12000 are declared|unreadable"):
        decode(cut)


def test_a_truncated_wav_is_found(tmp_path):
    path = write(tmp_path / "a.wav", noise())
    keep_half(path)
    with pytest.raises(BadAudio, match="torn: the header promises 16000 bytes of samples, 7978 are there"):
        read_recording(path, "a")


def test_a_wav_of_unknown_length_is_not_torn(tmp_path):
    """What sox and ffmpeg write to a pipe has the largest size there is in its header."""
    path = write(tmp_path / "a.wav", noise())
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert decode(cut_of(path)).shape == (1, RATE)


def test_a_file_that_changed_since_its_manifest_is_found(tmp_path):
    path = write(tmp_path / "a.wav", noise())
    cut = cut_of(path)
    write(path, noise(9000))
    with pytest.raises(BadAudio, match="9000 samples in the file, declared 8000"):
        decode(cut)
    soundfile.write(path, noise(), 16000)
    with pytest.raises(BadAudio, match="sampling rate 16000 Hz in the file, declared 8000 Hz"):
        decode(cut)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_found(tmp_path, value):
    samples = noise()
    samples[4000] = value
    with pytest.raises(BadAudio, match="not numbers"):
        decode(cut_of(write(tmp_path / "a.wav", samples, subtype="FLOAT")))


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_stored_as_floats_are_found(tmp_path, sign):
    with pytest.raises(BadAudio, match="expected -1 to 1"):
        decode(cut_of(write(tmp_path / "a.wav", np.full(RATE, sign * 3000.0), subtype="FLOAT")))


def test_audio_shorter_than_a_window_is_found(tmp_path):
    assert decode(cut_of(write(tmp_path / "a.wav", noise(200)))).shape == (1, 200)
    with pytest.raises(BadAudio, match="199 samples, shorter than one window of 25 ms"):
        decode(cut_of(write(tmp_path / "b.wav", noise(199))))


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "no such file"), (b"", "unreadable"), (b"garbage " * 99, "unreadable: .*not recogni")],
)
def test_what_is_not_audio_is_found_by_its_header(tmp_path, content, cause):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadAudio, match=cause) as caught:
        read_recording(path, "a")
    assert "\n" not in str(caught.value)


def test_empty_and_stereo_files_are_found_by_their_header(tmp_path):
    with pytest.raises(BadAudio, match="holds no samples"):
        read_recording(write(tmp_path / "a.wav", noise(0)), "a")
    with pytest.raises(BadAudio, match="2 channels, expected 1"):
        read_recording(write(tmp_path / "b.wav", np.zeros((RATE, 2))), "b")


def test_a_cut_that_reaches_beyond_its_recording_is_found(tmp_path):
    recording = read_recording(write(tmp_path / "a.wav", noise()), "a")
    with pytest.raises(BadAudio, match="ends at sample 12000, the file has 8000"):
        decode(MonoCut("a", 0.5, 1.0, 0, recording=recording))


def test_a_stereo_cut_is_its_channel(tmp_path):
    samples = np.stack([noise(), 2 * noise()], axis=1)
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    cut = MonoCut("a", 0.0, 1.0, 1, recording=Recording.from_file(path))
    np.testing.assert_array_equal(decode(cut)[0], samples[:, 1])


@pytest.mark.parametrize(
    ("duration", "fits"), [(1.0, True), (0.98, True), (1.02, True), (0.9, False), (1.1, False)]
)
def test_a_declared_duration_must_be_that_of_the_file(tmp_path, duration, fits):
    path = write(tmp_path / "a.wav", noise())
    if fits:
        assert cut_of(path, duration=duration).num_samples == RATE
    else:
        with pytest.raises(BadAudio, match=rf"declared {duration} s, the file has 1 s"):
            cut_of(path, duration=duration)


@pytest.mark.parametrize(
    ("start", "duration", "cause"),
    [
        (0.5, 0.6, "declared 0.6 s, the file has 0.5 s"),
        (1.5, 0.1, "starts at 1.5 s, the recording has 1 s"),
        (-0.1, 0.5, "starts at -0.1 s"),
        (0.5, -0.5, "declared -0.5 s, expected more than 0"),
    ],
)
def test_a_segment_outside_its_recording_is_found(tmp_path, start, duration, cause):
    path = write(tmp_path / "r.wav", noise())
    with pytest.raises(BadAudio, match=cause):
        cut_of(path, recording_id="r", start=start, duration=duration)
