"""Lengths against the samples that files were written from, and files that end too early, by format."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import Recording

from asrkd.data.corpora import flac_length, mp3_frames
from asrkd.data.corpora.audio_files import BadAudio, examine, opened, read
from asrkd.data.corpora.recordings import decode, make_cut, read_recording
from asrkd.data.corpora.utterances import CorpusUtterance

RATE, SECONDS = 16000, 2
TOLERANCE = 4 * 576  # an encoder's delay and padding, in frames of MPEG 2


def noise(seconds: float = SECONDS) -> np.ndarray:
    loudness = np.repeat([0.001, 0.3], int(seconds * RATE) // 2)  # so that bit rates vary
    return (loudness * np.random.default_rng(3).standard_normal(len(loudness))).astype("float32")


def encoded(**options: object) -> bytes:
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", RATE, 1, **options) as sound:
        sound.write(noise())
    return stream.getvalue()


def mp3(mode: str = "VARIABLE") -> bytes:
    return encoded(format="MP3", subtype="MPEG_LAYER_III", bitrate_mode=mode, compression_level=0.5)


def without_tag(content: bytes) -> bytes:
    """As a pipe has it: the frame that the encoder would have gone back to is not there."""
    first = content.index(b"\xff")
    return content[first + mp3_frames.frame_bytes(content[first : first + 4]) :]


def id3(size: int) -> bytes:
    digits = [size >> 7 * place & 127 for place in (3, 2, 1, 0)]
    return b"ID3\x04\0\0" + bytes(digits) + bytes([255, 251, 144, 100] * (size // 4))


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("before", [b"", id3(400), id3(200_000), bytes(1000)])
@pytest.mark.parametrize("after", [b"", b"TAG" + bytes(125), bytes(range(200))])
def test_an_untagged_mp3_has_the_length_of_its_source(tmp_path, mode, before, after):
    path = tmp_path / "a.mp3"
    path.write_bytes(before + without_tag(mp3(mode)) + after)
    assert abs(examine(path).num_samples - SECONDS * RATE) < TOLERANCE
    assert read(path).shape == (1, examine(path).num_samples)


def test_a_tagged_mp3_has_the_length_of_its_tag_and_of_lhotse(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3())
    assert examine(path) == (RATE, 1, SECONDS * RATE)
    np.testing.assert_array_equal(read(path), Recording.from_file(path).load_audio())


def test_of_two_mp3_files_that_were_joined_nothing_is_lost(tmp_path):
    """The first one's tag counts its own frames alone."""
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3() + mp3())
    assert abs(examine(path).num_samples - 2 * SECONDS * RATE) < 2 * TOLERANCE


@pytest.mark.parametrize("tagged", [True, False])
def test_a_picture_behind_an_mp3_is_no_audio_and_no_torn_frame(tmp_path, tagged):
    """Random bytes of an APE tag look like a header of the same kind every 130,000 or so, also at its end."""
    content = mp3() if tagged else without_tag(mp3())
    bare, path = tmp_path / "bare.mp3", tmp_path / "a.mp3"
    bare.write_bytes(content)
    header = content[-2000:][content[-2000:].index(b"\xff\xf3") :][:4]
    picture = np.random.default_rng(4).bytes(2000) + header + bytes(3000) + header + b"the end"
    path.write_bytes(content + b"APETAGEX" + picture)
    assert examine(path) == examine(bare)
    np.testing.assert_array_equal(read(path), read(bare))


def test_an_mp3_that_changes_its_sampling_rate_is_bad(tmp_path):
    stream = io.BytesIO()
    soundfile.write(stream, noise(), 44100, format="MP3")
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3() + stream.getvalue())
    with pytest.raises(BadAudio, match=f"changes at byte {len(mp3())}; convert it"):
        examine(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_ogg_files_are_read_whole_and_tears_found(tmp_path, subtype):
    path, single = tmp_path / "a.ogg", tmp_path / "single.ogg"
    link = encoded(format="OGG", subtype=subtype)
    single.write_bytes(link)
    path.write_bytes(3 * link)
    np.testing.assert_array_equal(read(path), np.tile(read(single), 3))
    assert examine(path) == (RATE, 1, 3 * examine(single).num_samples)
    for torn in (link[:-1000] + link, 2 * link[:-1000], link + link[: len(link) // 2]):
        path.write_bytes(torn)
        with pytest.raises(BadAudio, match="torn: "):
            examine(path)


def test_a_cut_of_joined_ogg_files_is_decoded(tmp_path):
    path = tmp_path / "a.ogg"
    path.write_bytes(2 * encoded(format="OGG", subtype="VORBIS"))
    cut = Recording.from_file(path).to_cut()
    assert decode(cut).shape == (1, cut.num_samples)


def test_joined_ogg_files_of_two_sampling_rates_are_bad(tmp_path):
    stream = io.BytesIO()
    soundfile.write(stream, noise(), 44100, format="OGG")
    path = tmp_path / "a.ogg"
    path.write_bytes(encoded(format="OGG", subtype="VORBIS") + stream.getvalue())
    with pytest.raises(BadAudio, match="2 consecutive Ogg streams with different sampling rates"):
        examine(path)


def test_a_segment_of_an_mp3_is_a_slice_of_the_whole(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_tag(mp3()))
    np.testing.assert_array_equal(read(path, 12345, 678), read(path)[:, 12345 : 12345 + 678])


@pytest.mark.parametrize("content", [mp3(), without_tag(mp3())])
def test_a_torn_mp3_is_found(tmp_path, content):
    path = tmp_path / "a.mp3"
    path.write_bytes(content[: len(content) * 2 // 3 + 1])
    with pytest.raises(BadAudio, match="torn: "):
        examine(path)


def test_a_cut_of_an_mp3_of_estimated_length_is_decoded(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_tag(mp3()))
    estimated = Recording.from_file(path)
    assert estimated.num_samples != examine(path).num_samples
    cut = make_cut(CorpusUtterance("a", path, "train", "list:1", "ONE"), read_recording(path, "a"))
    cut.recording.num_samples = estimated.num_samples
    assert decode(cut).shape == (1, examine(path).num_samples)


def flac_of_a_pipe() -> bytes:
    content = bytearray(encoded(format="FLAC", subtype="PCM_16"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def test_a_flac_of_a_pipe_has_all_its_samples(tmp_path):
    """Its header says 0 samples; the same file with its header is the oracle."""
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of_a_pipe())
    assert examine(path).num_samples == SECONDS * RATE
    np.testing.assert_array_equal(read(path, 100, 5000)[0], _with_a_header()[100:5100])
    np.testing.assert_array_equal(read(path)[0], _with_a_header())


def _with_a_header() -> np.ndarray:
    samples, _ = soundfile.read(io.BytesIO(encoded(format="FLAC", subtype="PCM_16")), dtype="float32")
    return samples


@pytest.mark.parametrize("riff", [0, 36, 2**32 - 1])
def test_a_wav_of_a_pipe_whose_sizes_are_0_has_all_its_samples(tmp_path, riff):
    """The same file with its sizes is the oracle."""
    content = bytearray(encoded(format="WAV", subtype="PCM_16"))
    place = content.index(b"data")
    content[4:8] = riff.to_bytes(4, "little")
    content[place + 4 : place + 8] = bytes(4)
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    expected = np.frombuffer(content[place + 8 :], dtype="<i2") / np.float32(32768)
    assert examine(path).num_samples == SECONDS * RATE
    np.testing.assert_array_equal(read(path)[0], expected)
    np.testing.assert_array_equal(read(path, 100, 50)[0], expected[100:150])


def test_a_wav_without_samples_before_another_chunk_is_empty(tmp_path):
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(0, dtype="float32"), RATE, format="WAV", subtype="PCM_16")
    content = bytearray(stream.getvalue() + b"LIST\4\0\0\0INFO")
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert examine(path).num_samples == 0


@pytest.mark.parametrize("content", [encoded(format="FLAC", subtype="PCM_16"), flac_of_a_pipe()])
def test_a_flac_with_an_id3_tag_is_not_an_mp3(tmp_path, content):
    """FLAC has a block for padding, here filled with what are frames of an MP3."""
    frames = without_tag(mp3("CONSTANT"))[:8000]
    padding = b"\x01" + len(frames).to_bytes(3, "big") + frames
    path = tmp_path / "a.flac"
    path.write_bytes(id3(400) + content[:42] + padding + content[42:])
    np.testing.assert_array_equal(read(path)[0], _with_a_header())


def test_the_length_in_the_last_frame_is_that_in_the_header():
    content = encoded(format="FLAC", subtype="PCM_16")
    assert flac_length.with_length(flac_of_a_pipe()) == content


def test_a_torn_flac_of_a_pipe_is_found(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of_a_pipe()[: len(flac_of_a_pipe()) * 2 // 3])
    with pytest.raises(BadAudio):
        read(path)


FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "GSM610"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("NIST", "PCM_16"),
    ("NIST", "ULAW"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_whole_files_are_read_and_torn_ones_are_found(tmp_path, kind, subtype):
    content, path = encoded(format=kind, subtype=subtype), tmp_path / "a"
    path.write_bytes(content)
    assert examine(path).num_samples == SECONDS * RATE
    assert read(path).shape == (1, SECONDS * RATE)
    for share in (0.35, 0.66, 0.95):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(BadAudio):
            examine(path), read(path)


@pytest.mark.parametrize(("kind", "subtype"), [own for own in FORMATS if own[1] != "GSM610"])
def test_spans_of_an_open_file_are_slices_in_any_order(tmp_path, kind, subtype):
    path = tmp_path / "a"
    path.write_bytes(encoded(format=kind, subtype=subtype))
    with opened(path) as audio:
        whole = audio.read()
        for start, count in [(9000, 4000), (0, 500), (500, 1000), (0, whole.shape[1])]:
            np.testing.assert_array_equal(audio.read(start, count), whole[:, start : start + count])


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"hello", bytes(5000), b"RIFF", b"OggS", b"ID3", b"\xff\xfb\x90"]
)
def test_what_is_no_audio_is_bad_audio(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(BadAudio):
        read(path)


def test_folders_and_missing_files_are_bad_audio(tmp_path):
    for path in (tmp_path, tmp_path / "gone.wav", Path("")):
        with pytest.raises(BadAudio):
            examine(path)


@pytest.mark.parametrize("change", ["perturb_speed", "resample"])
def test_transforms_are_lhotses_on_formats_beyond_lhotse(tmp_path, change):
    """A SPHERE file against the same samples in a WAV file, which lhotse reads by itself."""
    for name, kind in (("a.sph", "NIST"), ("a.wav", "WAV")):
        (tmp_path / name).write_bytes(encoded(format=kind, subtype="PCM_16"))
    cuts = [
        make_cut(CorpusUtterance("a", path, "train", "l:1", "ONE"), read_recording(path, "a"))
        for path in (tmp_path / "a.sph", tmp_path / "a.wav")
    ]
    sphere, wav = (
        cut.perturb_speed(0.9) if change == "perturb_speed" else cut.resample(8000) for cut in cuts
    )
    np.testing.assert_array_equal(decode(sphere), wav.load_audio())
