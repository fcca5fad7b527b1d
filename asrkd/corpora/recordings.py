"""Audio files: what their headers promise, and samples that keep the promise.

Everything is read by libsndfile (through soundfile) and by nothing else, so
that a file is good or bad alike on every installation; lhotse tries one
library after another and pads up to half a second that is missing.
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.utils import compute_num_samples

from asrkd import faults
from asrkd.corpora.utterances import Utterance

Samples = npt.NDArray[np.float32]  # (1, num_samples)

# Kaldi's utt2dur may be counted in feature frames, which miss up to a window of 25 ms.
DECLARED_TOLERANCE_S = 0.025
WINDOW_S = 0.025  # of the features: shorter audio has none
# Decoders overshoot 1 a little; hundreds mean integers stored as floats.
MAX_AMPLITUDE = 8.0
# Writers to a pipe cannot go back to fill in the size; they put the largest there is.
_UNKNOWN_BYTES = 0x7FFFF000


class BadAudio(Exception):
    """Why the audio of one item cannot be used; the item is set aside with it."""


def read_recording(path: Path, recording_id: str) -> Recording:
    """A recording of one channel, from the header of its file.

    Raises:
        BadAudio: no such file, not audio, not one channel, no samples, or a
            file that ends before its header says.
    """
    if not path.is_file():
        raise BadAudio("no such file")
    try:
        header = soundfile.info(str(path))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BadAudio(f"unreadable: {_reason(error)}") from None
    if header.channels != 1:
        raise BadAudio(f"{header.channels} channels, expected 1")
    if header.frames == 0:
        raise BadAudio("holds no samples")
    _check_wav_size(header.extra_info)
    return Recording(
        id=recording_id,
        sources=[AudioSource(type="file", channels=[0], source=str(path))],
        sampling_rate=header.samplerate,
        num_samples=header.frames,
        duration=header.frames / header.samplerate,
    )


def make_cut(utterance: Utterance, recording: Recording) -> MonoCut:
    """The cut of an utterance, with one supervision that spans it.

    Raises:
        BadAudio: the duration that the corpus declares is not the recording's,
            or the segment is not inside it.
    """
    available = recording.duration - utterance.start
    if utterance.start < 0 or available <= 0:
        raise BadAudio(f"starts at {utterance.start:g} s, the recording has {recording.duration:g} s")
    duration = available if utterance.duration is None else utterance.duration
    whole = utterance.recording_id is None
    if duration > available + DECLARED_TOLERANCE_S or (whole and duration < available - DECLARED_TOLERANCE_S):
        raise BadAudio(f"declared {duration:g} s, the file has {available:g} s")
    duration = available if whole else min(duration, available)
    if duration <= 0:
        raise BadAudio(f"declared {duration:g} s, expected more than 0")
    num_samples = compute_num_samples(duration, recording.sampling_rate)
    duration = num_samples / recording.sampling_rate
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=recording.id,
        start=0.0,
        duration=duration,
        text=utterance.text,
        speaker=utterance.speaker,
    )
    return MonoCut(
        id=utterance.id,
        start=utterance.start,
        duration=duration,
        channel=0,
        supervisions=[supervision],
        recording=recording,
    )


def decode(cut: MonoCut) -> Samples:
    """Samples of a cut, (1, num_samples) float32 in -1..1, after every check.

    A recording with lhotse transforms (speed, resampling) is checked as a
    file and then loaded by lhotse, which applies them.

    Raises:
        BadAudio: decoding fails, or gives fewer samples than promised, another
            sampling rate, NaN, or an integer scale.
    """
    recording = cut.recording
    if recording is None:
        raise BadAudio("the cut has no recording")
    try:
        faults.strike("decode")
        if recording.transforms:
            for source in recording.sources:
                _decode_whole(Path(source.source))
            samples: Samples = cut.load_audio()
        else:
            samples = _decode_span(cut, recording)
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError) as error:
        raise BadAudio(f"unreadable: {_reason(error)}") from None
    _check_samples(samples, cut.sampling_rate)
    return samples


def audio_sha256(samples: Samples) -> str:
    """Hex digest of samples (1, num_samples), taken as little-endian float32."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<f4").data).hexdigest()


def with_source(recording: Recording, path: str) -> Recording:
    """The same recording under another path; it must have one source."""
    (source,) = recording.sources
    return replace(recording, sources=[replace(source, source=path)])


def _decode_span(cut: MonoCut, recording: Recording) -> Samples:
    """(1, num_samples) of the cut's channel, decoded strictly."""
    source = next(s for s in recording.sources if cut.channel in s.channels)
    rate = recording.sampling_rate
    num_samples = compute_num_samples(cut.duration, rate)
    with soundfile.SoundFile(source.source) as stream:
        if stream.samplerate != rate:
            raise BadAudio(f"sampling rate {stream.samplerate} Hz in the file, declared {rate} Hz")
        if stream.frames != recording.num_samples:
            raise BadAudio(f"{stream.frames} samples in the file, declared {recording.num_samples}")
        _check_wav_size(stream.extra_info)
        if cut.start > 0:  # even to where it is, FLAC seeks slowly
            stream.seek(compute_num_samples(cut.start, rate))
        samples = stream.read(num_samples, dtype="float32", always_2d=True).T  # (C, num_samples)
    if samples.shape[1] != num_samples:
        raise BadAudio(f"decodes to {samples.shape[1]} samples, {num_samples} are declared")
    return np.ascontiguousarray(samples[[source.channels.index(cut.channel)]])


def _decode_whole(path: Path) -> None:
    with soundfile.SoundFile(str(path)) as stream:
        _check_wav_size(stream.extra_info)
        decoded = len(stream.read(dtype="float32", always_2d=True))
        if decoded != stream.frames:
            raise BadAudio(f"decodes to {decoded} samples, the header promises {stream.frames}")


def _check_samples(samples: Samples, sampling_rate: int) -> None:
    if samples.shape[1] < WINDOW_S * sampling_rate:
        raise BadAudio(f"{samples.shape[1]} samples, shorter than one window of {1000 * WINDOW_S:g} ms")
    loudest = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(loudest):  # NaN and infinity both come through max
        raise BadAudio("holds samples that are not numbers (NaN or infinity)")
    if loudest > MAX_AMPLITUDE:
        raise BadAudio(f"samples reach {loudest:g}, expected -1 to 1 (integers stored as floats?)")


def _check_wav_size(log: str) -> None:
    """Find a torn WAV file in libsndfile's log of its header; the library itself reads what is left."""
    match = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if match and int(match[2]) < int(match[1]) < _UNKNOWN_BYTES:
        raise BadAudio(f"torn: the header promises {match[1]} bytes of samples, {match[2]} are there")


def _reason(error: Exception) -> str:
    """The library's words in one line, without the path, which is reported beside them."""
    words = getattr(error, "error_string", None) or str(error)
    return " ".join(words.split())[:200]
