"""Audio files decoded by libsndfile, with true lengths.

This is the only decoder of asrkd: all uses of samples (headers, features, resampling, speed perturbation,
teachers that read audio, report clips) go through :func:`opened`, so that a file is good or bad for all of
them and on every installation. lhotse tries several libraries and pads up to half a second.

The source of the length depends on the format:

=====================  ==================================================================================
format                 length
=====================  ==================================================================================
WAV, AIFF, AU, W64 ..  the header, unless it is the "unknown" of a writer to a pipe (in WAV also 0); a file
                       with less than its header promises is torn
SPHERE (NIST)          ``sample_count`` of the header; libsndfile uses the size of the file
FLAC                   the header; if a pipe left it at 0, the header of the last frame
Ogg (Vorbis, Opus)     the last page, which must be marked as the end of its stream; for consecutive streams
                       (a chain) the sum
MP3                    a Xing, Info or VBRI tag if it is right; or else all frames are decoded and counted
                       (:mod:`asrkd.data.corpora.mp3_frames`)
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
MAX_SAMPLES = 1 << 62  # samples of a stream without a length
_RIFF = ("WAV", "WAVEX")


class AudioInfo(NamedTuple):
    """Sampling rate, channels and length of an audio file."""

    sampling_rate: int  # Hz
    num_channels: int
    num_samples: int  # samples of each channel


@dataclass(frozen=True)
class OpenAudio:
    """Open audio file: its length, and access to its samples."""

    info: AudioInfo
    is_estimated: bool  # whether other programs may misjudge its length: MP3, or Ogg of several streams
    _span: Callable[[int, int], Samples]  # start, count -> (C, S), fewer where the file ends

    def read(self, start: int = 0, count: int | None = None) -> Samples:
        """Read samples (C, S) in float32, -1 to 1, from sample ``start`` on: ``count`` of them, or all.

        A file of a format without seeking (GSM 6.10) can be read once.

        Raises:
            BadAudio: the file has fewer samples than ``count``.
        """
        count = max(self.info.num_samples - start, 0) if count is None else count
        samples = self._span(start, count)
        if samples.shape[1] != count:
            raise BadAudio(f"torn: decodes to {start + samples.shape[1]} samples, expected {start + count}")
        return np.ascontiguousarray(samples)


@contextmanager
def opened(path: Path) -> Iterator[OpenAudio]:
    """Open a file for reading, and check its length.

    Raises:
        BadAudio: no such file, not audio that libsndfile reads, or a file that ends too early; within
            the block, decoding fails.
    """
    with _errors(path):
        if (whole := _decoded_first(path)) is not None:
            yield _in_memory(whole)
            return
        with _opened(path) as stream:
            if stream.format == "MP3" and (whole := _decode_mp3(*_version(path))) is not None:
                yield _in_memory(whole)  # that does not begin with a frame or a tag
                return
            check_whole(path, stream.format, stream.extra_info)
            info = AudioInfo(stream.samplerate, stream.channels, stream.frames)
            yield OpenAudio(info, False, lambda start, count: _span(stream, start, count))


def examine(path: Path) -> AudioInfo:
    """Return sampling rate, channels and true number of samples of a file; BadAudio as in :func:`opened`."""
    with opened(path) as audio:
        return audio.info


def read(path: Path, start: int = 0, count: int | None = None) -> Samples:
    """Read samples (C, S) as :meth:`OpenAudio.read` does; BadAudio as in it and in :func:`opened`."""
    with opened(path) as audio:
        return audio.read(start, count)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Convert errors of libsndfile and the file system to BadAudio."""
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
    """Open the file with a header that has its length, patched in memory if necessary."""
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
    """Read (C, S) from ``start`` on, fewer than ``count`` at the end of the stream.

    A stream without seeking must be at its beginning.
    """
    if not stream.seekable():
        return _blocks(stream, start + count)[:, start:]
    if start != stream.tell():  # FLAC seeks slowly, also to the present position
        stream.seek(min(start, stream.frames))
    return _blocks(stream, count)


def _blocks(stream: soundfile.SoundFile, count: int) -> Samples:
    """Read the next (C, S), at most ``count``, in blocks, as some streams have no length."""
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
    """Decoded samples (C, S) of a file whose length is known only by decoding."""

    sampling_rate: int  # Hz
    samples: Samples


@lru_cache(maxsize=1)
def _decode_chain(path: str, _size: int, _modified: int) -> _Decoded | None:
    """Decode an Ogg file of several consecutive streams (RFC 3533, 4); return None if it has one.

    libsndfile reads only the first stream.
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
            f"{len(decoded)} consecutive Ogg streams with different sampling rates or channels; "
            "convert it, as with ffmpeg"
        )
    return _Decoded(decoded[0].sampling_rate, np.concatenate([link.samples for link in decoded], axis=1))


def _in_memory(whole: _Decoded) -> OpenAudio:
    info = AudioInfo(whole.sampling_rate, *whole.samples.shape)
    return OpenAudio(info, True, lambda start, count: whole.samples[:, start : start + count])


def _decoded_first(path: Path) -> _Decoded | None:
    """Decode a file that begins as an MP3 and is one, or is Ogg of several streams; else return None."""
    with path.open("rb") as stream:
        head = stream.read(mp3_frames.HEAD_BYTES)
    if head.startswith(b"OggS"):
        return _decode_chain(*_version(path))
    return _decode_mp3(*_version(path)) if mp3_frames.may_begin(head) else None


def _version(path: Path) -> tuple[str, int, int]:
    """Return path, size and modification time of a file, which identify its version."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)  # segments of a recording are read consecutively
def _decode_mp3(path: str, _size: int, _modified: int) -> _Decoded | None:
    """Decode an MP3 file; None for another format; BadAudio if it ends before its frames or tag say."""
    frames = mp3_frames.walk(Path(path).read_bytes())
    if frames is not None and frames.other_kind_at is not None:
        raise BadAudio(
            f"its sampling rate or version of MPEG changes at byte {frames.other_kind_at}; "
            "convert it, as with ffmpeg"
        )
    if frames is None or frames.is_as_promised:  # libsndfile has the right length, or there is no better one
        with soundfile.SoundFile(path) as stream:
            if stream.format != "MP3":
                return None
            return _Decoded(stream.samplerate, _blocks(stream, stream.frames))
    present = f"{len(frames.spans)} whole frames are there"
    if frames.promised is not None and frames.promised > len(frames.spans):
        raise BadAudio(f"torn: its tag promises {frames.promised} frames, {present}")
    if frames.missing_bytes:
        raise BadAudio(f"torn: {present}, and the next one lacks {frames.missing_bytes} bytes")
    with mp3_frames.piped(frames.audio()) as descriptor, soundfile.SoundFile(descriptor) as stream:
        return _Decoded(stream.samplerate, _blocks(stream, MAX_SAMPLES))
