"""Audio files decoded by libsndfile: samples are counted, whatever a header says.

The one decoder of asrkd: every path to samples (headers, features, resampling, speed perturbation,
teachers that read audio, report clips) goes through :func:`opened`, so that a file is good or bad alike
for all of them and on every installation; lhotse tries one library after another and pads up to half a
second.

How much a header is worth depends on the format:

=====================  ==================================================================================
format                 length
=====================  ==================================================================================
WAV, AIFF, AU, W64 ..  the header's, unless it is the "unknown" of a writer to a pipe (of WAV also 0); a file
                       that holds less than it promises is torn
SPHERE (NIST)          ``sample_count`` of its header; libsndfile goes by the file's size
FLAC                   the header's; where a pipe left it at 0, that of the last frame's header
Ogg (Vorbis, Opus)     the last page's, which must be marked as the end of its stream; of streams one after
                       the other (a chain) the sum
MP3                    that of a Xing, Info or VBRI tag that is right; or else all frames are decoded and
                       counted (:mod:`asrkd.data.corpora.mp3_frames`)
=====================  ==================================================================================

Notation: C channels, S samples of a channel.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from asrkd.data.corpora import mp3_frames
from asrkd.data.corpora.audio_headers import BadAudio, check_end, check_whole, ogg_chain, with_unknown_size
from asrkd.data.corpora.flac_length import with_length

__all__ = ["AudioInfo", "BadAudio", "OpenAudio", "Samples", "examine", "opened", "read"]

Samples = npt.NDArray[np.float32]  # (C, S)

BLOCK = 1 << 18  # samples decoded at a time
MOST_SAMPLES = 1 << 62  # of a stream that does not know its length
_RIFF = ("WAV", "WAVEX")


class AudioInfo(NamedTuple):
    """What an audio file holds."""

    sampling_rate: int  # Hz
    num_channels: int
    num_samples: int  # of each channel


@dataclass(frozen=True)
class OpenAudio:
    """An open audio file: what it holds, and its samples."""

    info: AudioInfo
    is_estimated: bool  # whether other programs may mistake its length: an MP3, or Ogg of several streams
    _span: Callable[[int, int], Samples]  # start, count -> (C, S), fewer where the file ends

    def read(self, start: int = 0, count: int | None = None) -> Samples:
        """Samples (C, S) in float32, -1 to 1, from sample ``start`` on: ``count``, or all that follow.

        A file of a format that cannot be sought in (GSM 6.10) can be read once.

        Raises:
            BadAudio: there are fewer than ``count``.
        """
        count = max(self.info.num_samples - start, 0) if count is None else count
        samples = self._span(start, count)
        if samples.shape[1] != count:
            raise BadAudio(f"torn: decodes to {start + samples.shape[1]} samples, expected {start + count}")
        return np.ascontiguousarray(samples)


@contextmanager
def opened(path: Path) -> Iterator[OpenAudio]:
    """A file that is as long as it says, for reading.

    Raises:
        BadAudio: no such file, not audio that libsndfile reads, a file that ends before it should, or,
            within the block, one whose decoding fails on the way.
    """
    with _errors(path):
        if (whole := _decoded_first(path)) is not None:
            yield _held(whole)
            return
        with _opened(path) as stream:
            if stream.format == "MP3" and (whole := _decode_mp3(*_version(path))) is not None:
                yield _held(whole)  # of an unusual beginning
                return
            check_whole(path, stream.format, stream.extra_info)
            info = AudioInfo(stream.samplerate, stream.channels, stream.frames)
            yield OpenAudio(info, False, lambda start, count: _span(stream, start, count))


def examine(path: Path) -> AudioInfo:
    """Sampling rate, channels and the true number of samples of a file; BadAudio as of :func:`opened`."""
    with opened(path) as audio:
        return audio.info


def read(path: Path, start: int = 0, count: int | None = None) -> Samples:
    """Samples (C, S) as of :meth:`OpenAudio.read`; BadAudio as of it and :func:`opened`."""
    with opened(path) as audio:
        return audio.read(start, count)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What libsndfile and the file system raise, as BadAudio."""
    try:
        if not path.is_file():
            raise BadAudio("no such file")
        yield
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, MemoryError) as error:
        words = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        words = " ".join(words.split())[:200]
        if re.search(
            "not recognized|unimplemented|malformed|internal error|unknown error", words, re.IGNORECASE
        ):
            words += " (expected WAV, FLAC, Ogg, MP3, SPHERE or the like; convert it, as with ffmpeg)"
        raise BadAudio(f"unreadable: {words}") from None


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file for reading, with a header that has its length."""
    with soundfile.SoundFile(str(path)) as stream:
        kind, frames = stream.format, stream.frames
        if not (kind == "FLAC" and frames >= 1 << 36) and not (kind in _RIFF and frames == 0):
            yield stream
            return
    content = path.read_bytes()
    content = with_length(mp3_frames.without_id3(content)) if kind == "FLAC" else with_unknown_size(content)
    with soundfile.SoundFile(io.BytesIO(content)) as stream:
        yield stream


def _span(stream: soundfile.SoundFile, start: int, count: int) -> Samples:
    """(C, S) from ``start`` on, fewer than ``count`` where the stream ends.

    A stream that cannot be sought in must be at its beginning.
    """
    if not stream.seekable():
        return _blocks(stream, start + count)[:, start:]
    if start != stream.tell():  # to where it is FLAC seeks slowly too
        stream.seek(min(start, stream.frames))
    return _blocks(stream, count)


def _blocks(stream: soundfile.SoundFile, count: int) -> Samples:
    """The next (C, S), at most ``count``; by blocks, as some streams do not know how much they have."""
    blocks, left = [], count
    while left > 0:
        block = stream.read(min(BLOCK, left), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block.T)
        left -= len(block)
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((stream.channels, 0), dtype=np.float32)


@dataclass(frozen=True)
class _Decoded:
    """A file as samples (C, S), whose length nothing but decoding tells."""

    sampling_rate: int  # Hz
    samples: Samples


@lru_cache(maxsize=1)
def _decode_chain(path: str, _size: int, _modified: int) -> _Decoded | None:
    """An Ogg file of several streams one after the other (RFC 3533, 4); None if it has one.

    libsndfile reads no further than the first.
    """
    content = Path(path).read_bytes()
    links = ogg_chain(content)
    if len(links) == 1:
        return None
    decoded = []
    for begin, end in links:
        check_end(content[begin:end])
        with soundfile.SoundFile(io.BytesIO(content[begin:end])) as stream:
            decoded.append(_Decoded(stream.samplerate, _blocks(stream, stream.frames)))
    if len({(link.sampling_rate, len(link.samples)) for link in decoded}) > 1:
        raise BadAudio(
            f"{len(decoded)} Ogg streams one after the other, of different sampling rates or channels; "
            "convert it, as with ffmpeg"
        )
    return _Decoded(decoded[0].sampling_rate, np.concatenate([link.samples for link in decoded], axis=1))


def _held(whole: _Decoded) -> OpenAudio:
    info = AudioInfo(whole.sampling_rate, *whole.samples.shape)
    return OpenAudio(info, True, lambda start, count: whole.samples[:, start : start + count])


def _decoded_first(path: Path) -> _Decoded | None:
    """The decoded file if it begins as an MP3 and is one, or is Ogg of several streams, else None."""
    with path.open("rb") as stream:
        head = stream.read(mp3_frames.HEAD_BYTES)
    if head.startswith(b"OggS"):
        return _decode_chain(*_version(path))
    return _decode_mp3(*_version(path)) if mp3_frames.may_begin(head) else None


def _version(path: Path) -> tuple[str, int, int]:
    """What tells a file from another, or from itself before a change."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)  # segments of a recording come one after the other
def _decode_mp3(path: str, _size: int, _modified: int) -> _Decoded | None:
    """An MP3 file, None if it is something else; BadAudio if it ends before its frames or its tag say."""
    frames = mp3_frames.walk(Path(path).read_bytes())
    if frames is not None and frames.other_kind_at is not None:
        raise BadAudio(
            f"its sampling rate or version of MPEG changes at byte {frames.other_kind_at}; "
            "convert it, as with ffmpeg"
        )
    if frames is None or frames.is_as_promised:  # libsndfile knows the length, or nobody does
        with soundfile.SoundFile(path) as stream:
            if stream.format != "MP3":
                return None
            return _Decoded(stream.samplerate, _blocks(stream, stream.frames))
    there = f"{len(frames.spans)} whole frames are there"
    if frames.promised is not None and frames.promised > len(frames.spans):
        raise BadAudio(f"torn: its tag promises {frames.promised} frames, {there}")
    if frames.missing_bytes:
        raise BadAudio(f"torn: {there}, and the next one lacks {frames.missing_bytes} bytes")
    with mp3_frames.piped(frames.audio()) as descriptor, soundfile.SoundFile(descriptor) as stream:
        return _Decoded(stream.samplerate, _blocks(stream, MOST_SAMPLES))
