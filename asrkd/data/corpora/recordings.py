"""Recordings and cuts of audio files, and their samples, checked against the declared lengths."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.supervision import AlignmentItem
from lhotse.utils import compute_num_samples

from asrkd.core import faults
from asrkd.core.errors import AsrkdError, error_text
from asrkd.data.corpora import audio_files
from asrkd.data.corpora.audio_files import BadAudio, Samples
from asrkd.data.corpora.utterances import CorpusUtterance
from asrkd.data.cuts.shared_recordings import PARTS

__all__ = [
    "BadAudio",
    "Samples",
    "audio_sha256",
    "decode",
    "make_cut",
    "read_recording",
    "with_source",
    "with_true_length",
]

# Kaldi's utt2dur may be counted in feature frames, which lack up to a window of 25 ms.
DECLARED_TOLERANCE_S = 0.025
_TIME_DECIMALS = 6  # of the times of words, in seconds
WINDOW_S = 0.025  # window of the features; shorter audio has no features
# Decoders overshoot 1 a little; hundreds mean integers stored as floats.
MAX_AMPLITUDE = 8.0
NO_LENGTH = 1 << 36  # samples: the limit of FLAC; libsndfile returns more for a file without a length
_ESTIMATED = {".mp3", ".ogg", ".oga", ".opus", ".flac"}


def read_recording(path: Path, recording_id: str) -> Recording:
    """Read a recording of one channel, with the true length of its file.

    Raises:
        BadAudio: no such file, not audio, not one channel, no samples, or a
            file that ends before its header says.
    """
    info = audio_files.examine(path)
    if info.num_channels != 1:
        raise BadAudio(f"{info.num_channels} channels, expected 1")
    if info.num_samples == 0:
        raise BadAudio("holds no samples")
    return Recording(
        id=recording_id,
        sources=[AudioSource(type="file", channels=[0], source=str(path))],
        sampling_rate=info.sampling_rate,
        num_samples=info.num_samples,
        duration=info.num_samples / info.sampling_rate,
    )


def make_cut(utterance: CorpusUtterance, recording: Recording) -> MonoCut:
    """Make the cut of an utterance, with one supervision that spans it.

    Raises:
        BadAudio: the declared duration is not that of the recording, or the
            segment or the time of a word is not inside it.
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
        alignment=_word_alignment(utterance, duration),
    )
    return MonoCut(
        id=utterance.id,
        start=utterance.start,
        duration=duration,
        channel=0,
        supervisions=[supervision],
        recording=recording,
        custom={PARTS: list(utterance.parts)} if utterance.parts else None,
    )


def _word_alignment(utterance: CorpusUtterance, duration: float) -> dict[str, list[AlignmentItem]] | None:
    """Return the words with start and duration, in seconds; BadAudio if one is not within ``duration``."""
    if not utterance.word_times:
        return None
    last = max(end for _, end in utterance.word_times)
    if last > duration + DECLARED_TOLERANCE_S:
        raise BadAudio(f"segments end at {last:g} s, the file has {duration:g} s")
    spans = zip(utterance.text.split(), utterance.word_times, strict=True)
    return {
        "word": [
            AlignmentItem(word, start, round(min(end, duration) - start, _TIME_DECIMALS))
            for word, (start, end) in spans
        ]
    }


def decode(cut: MonoCut) -> Samples:
    """Decode and check the samples of a cut, (1, num_samples) float32 in -1..1.

    lhotse applies the transforms of a recording (speed, resampling) to samples decoded here.

    Raises:
        BadAudio: decoding fails, or gives fewer samples than declared, another
            sampling rate, NaN, or an integer scale; or the recording lacks the cut's channel.
    """
    recording = cut.recording
    if recording is None:
        raise BadAudio("the cut has no recording")
    try:
        faults.strike("decode")
    except OSError as error:
        raise BadAudio(f"unreadable: {error}") from None
    source = _source(cut, recording)
    samples = _transformed(cut, recording, source) if recording.transforms else _span(cut, recording, source)
    _check_samples(samples, cut.sampling_rate)
    return samples


def samples_of(cut: MonoCut) -> Samples:
    """Decode the samples (S,) of a cut, in -1..1; AsrkdError, with the cut, if they cannot be decoded."""
    try:
        return decode(cut).reshape(-1)
    except BadAudio as error:
        raise AsrkdError(f"cut {cut.id}: {error}; check the data with: asrkd check --deep") from None


def audio_sha256(samples: Samples) -> str:
    """Return the hex digest of samples (1, num_samples) as little-endian float32."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<f4").data).hexdigest()


def with_source(recording: Recording, path: str) -> Recording:
    """Return a recording of one source with another path."""
    (source,) = recording.sources
    return replace(recording, sources=[replace(source, source=path)])


def with_true_length(recording: Recording) -> Recording:
    """Return a recording with the decoded length where lhotse estimates it: MP3, Ogg, FLAC from a pipe.

    A recording that cannot be read, or has transforms, is returned unchanged; decoding its cuts raises.
    """
    (source,) = recording.sources
    path = Path(source.source)
    if recording.transforms or path.suffix.lower() not in _ESTIMATED:
        return recording
    try:
        with audio_files.opened(path) as audio:
            info = audio.info
    except BadAudio:
        return recording
    if recording.num_samples < NO_LENGTH and not audio.is_estimated:
        return recording
    if info.sampling_rate != recording.sampling_rate or info.num_samples == recording.num_samples:
        return recording
    return replace(recording, num_samples=info.num_samples, duration=info.num_samples / info.sampling_rate)


def _source(cut: MonoCut, recording: Recording) -> AudioSource:
    """Return the file with the cut's channel."""
    for source in recording.sources:
        if cut.channel in source.channels:
            if source.type != "file":
                raise BadAudio(f"its audio is of type {source.type!r}, expected a file")
            return source
    channels = sorted(channel for source in recording.sources for channel in source.channels)
    raise BadAudio(f"channel {cut.channel} of a recording with channels {', '.join(map(str, channels))}")


def _span(cut: MonoCut, recording: Recording, source: AudioSource) -> Samples:
    """Read (1, num_samples) of the cut's channel."""
    rate = recording.sampling_rate
    start, count = (compute_num_samples(value, rate) if value else 0 for value in (cut.start, cut.duration))
    with audio_files.opened(Path(source.source)) as audio:
        info = audio.info
        if info.sampling_rate != rate:
            raise BadAudio(f"sampling rate {info.sampling_rate} Hz in the file, declared {rate} Hz")
        if info.num_samples != recording.num_samples and not audio.is_estimated:
            raise BadAudio(f"{info.num_samples} samples in the file, declared {recording.num_samples}")
        if info.num_samples < start + count:
            raise BadAudio(f"ends at sample {start + count}, the file has {info.num_samples}")
        return _channel(audio.read(start, count), cut, source)


def _transformed(cut: MonoCut, recording: Recording, source: AudioSource) -> Samples:
    """Read (1, num_samples) with the recording's transforms, which lhotse applies to a WAV file in memory."""
    content = io.BytesIO()
    with audio_files.opened(Path(source.source)) as audio:
        soundfile.write(content, audio.read().T, audio.info.sampling_rate, format="WAV", subtype="FLOAT")
    in_memory = replace(source, type="memory", source=content.getvalue())
    try:
        samples: Samples = replace(cut, recording=replace(recording, sources=[in_memory])).load_audio()
    except Exception as error:  # lhotse and torchaudio raise whatever the samples cause
        raise BadAudio(f"cannot be transformed: {error_text(error, 200)}") from None
    return samples


def _channel(samples: Samples, cut: MonoCut, source: AudioSource) -> Samples:
    """Select (1, S) of the samples (C, S) of a file."""
    place = source.channels.index(cut.channel)
    if place >= len(samples):
        raise BadAudio(f"channel {cut.channel} is declared, the file has {len(samples)}")
    return np.ascontiguousarray(samples[[place]])


def _check_samples(samples: Samples, sampling_rate: int) -> None:
    if samples.shape[1] < WINDOW_S * sampling_rate:
        raise BadAudio(f"{samples.shape[1]} samples, shorter than one window of {1000 * WINDOW_S:g} ms")
    loudest = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(loudest):  # max passes on NaN and infinity
        raise BadAudio("holds samples that are not numbers (NaN or infinity)")
    if loudest > MAX_AMPLITUDE:
        raise BadAudio(f"samples reach {loudest:g}, expected -1 to 1 (integers stored as floats?)")
