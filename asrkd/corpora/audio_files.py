"""Audio files decoded by libsndfile: samples are counted, whatever a header says.

The one decoder of asrkd: every path to samples (headers, features, resampling, speed perturbation,
teachers that read audio, report clips) goes through :func:`examine` and :func:`read`, so that a file is
good or bad alike for all of them and on every installation; lhotse tries one library after another and
pads up to half a second.

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
                       counted (:mod:`asrkd.corpora.mp3_frames`)
=====================  ==================================================================================

Notation: C channels, S samples of a channel.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from asrkd.corpora import mp3_frames
from asrkd.corpora.flac_length import with_length

Samples = npt.NDArray[np.float32]  # (C, S)

BLOCK = 1 << 18  # samples decoded at a time
TAIL_BYTES = 1 << 17  # an Ogg page has at most 65,307 bytes, so the last one lies in here
MOST_PAGE_BYTES = 65307
# Marked as the beginning, at no position yet, with the sequence number 0 behind the stream's own number.
_FIRST_PAGE = re.compile(rb"OggS\0[\2\6]\0{8}.{4}\0{4}", re.DOTALL)
MOST_HEADER_BYTES = 1 << 16  # of a SPHERE file
MOST_SAMPLES = 1 << 62  # of a stream that does not know its length
_RIFF = ("WAV", "WAVEX")
# Writers to a pipe cannot go back to fill in the size; they put the largest there is, or about that.
_UNKNOWN_BYTES = 0x7FFFF000


class BadAudio(Exception):
    """Why the audio of one item cannot be used; the item is set aside with it."""


class AudioInfo(NamedTuple):
    """What an audio file holds."""

    sampling_rate: int  # Hz
    num_channels: int
    num_samples: int  # of each channel


def examine(path: Path) -> AudioInfo:
    """Sampling rate, channels and the true number of samples of a file.

    Raises:
        BadAudio: no such file, not audio that libsndfile reads, or a file that ends before it should.
    """
    with _errors(path):
        if (whole := _decoded(path)) is not None:
            return AudioInfo(whole.sampling_rate, *whole.samples.shape)
        with _opened(path) as stream:
            _check_whole(path, stream.format, stream.extra_info)
            return AudioInfo(stream.samplerate, stream.channels, stream.frames)


def read(path: Path, start: int = 0, count: int | None = None) -> Samples:
    """Samples (C, S) in float32, -1 to 1, from sample ``start`` on: ``count`` of them, or all that follow.

    Raises:
        BadAudio: as :func:`examine`, or there are fewer than ``count``, or decoding fails on the way.
    """
    info = examine(path)
    count = max(info.num_samples - start, 0) if count is None else count
    with _errors(path):
        if (whole := _decoded(path)) is not None:
            samples = whole.samples[:, start : start + count]
        else:
            with _opened(path) as stream:
                samples = _span(stream, start, count)
    if samples.shape[1] != count:
        raise BadAudio(f"torn: decodes to {start + samples.shape[1]} samples, expected {start + count}")
    return np.ascontiguousarray(samples)


def is_estimated(path: Path) -> bool:
    """Whether other programs may mistake the length of a file: it is an MP3, or Ogg of several streams."""
    with _errors(path):
        return _decoded(path) is not None


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
            "not recognised|unimplemented|malformed|internal error|unknown error", words, re.IGNORECASE
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
    content = with_length(mp3_frames.without_id3(content)) if kind == "FLAC" else _with_unknown_size(content)
    with soundfile.SoundFile(io.BytesIO(content)) as stream:
        yield stream


def _with_unknown_size(wav: bytes) -> bytes:
    """A WAV file whose writer left the sizes at 0, as to a pipe, with the size that stands for unknown.

    A file that is empty indeed has its own size in the header, and stays as it is.
    """
    place = wav.find(b"data\0\0\0\0", 12)
    if place < 0 or len(wav) == place + 8 or int.from_bytes(wav[4:8], "little") == len(wav) - 8:
        return wav
    unknown = b"\xff\xff\xff\xff"
    return wav[:4] + unknown + wav[8 : place + 4] + unknown + wav[place + 8 :]


def _span(stream: soundfile.SoundFile, start: int, count: int) -> Samples:
    """(C, S) from ``start`` on, fewer than ``count`` where the stream ends."""
    if start and stream.seekable():  # even to where it is, FLAC seeks slowly
        stream.seek(min(start, stream.frames))
    elif start:
        return _blocks(stream, start + count)[:, start:]
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


def _check_whole(path: Path, kind: str, log: str) -> None:
    """BadAudio if a file ends before its header, or the structure of its format, says."""
    for match in re.finditer(r"^\s*([\w -]*?)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE):
        name, promised, there = match[1], int(match[2]), int(match[3])
        if there < promised < _UNKNOWN_BYTES and name != "RIFF":  # of the whole file, and often off a little
            raise BadAudio(f"torn: the header promises {promised} bytes of samples, {there} are there")
    if counts := re.search(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)", log):
        raise BadAudio(f"torn: the header promises {counts[2]} samples, {counts[1]} are there")
    if kind == "OGG":
        _check_last_page(_tail(path))
    elif kind == "NIST":
        _check_sphere(path)


def _check_last_page(tail: bytes) -> None:
    """BadAudio unless the last Ogg page is whole, and marked as the end of its stream (RFC 3533, 6)."""
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < 27 or len(page) < _page_bytes(page) or not page[5] & 4:
        raise BadAudio("torn: its last Ogg page is not the end of the stream")


def _tail(path: Path) -> bytes:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - TAIL_BYTES, 0))
        return stream.read()


def _page_bytes(page: bytes) -> int:
    return 27 + page[26] + sum(page[27 : 27 + page[26]])


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
    begins, behind = [0], 0
    for match in _FIRST_PAGE.finditer(content):
        if match.start() != behind:  # streams side by side begin on pages one behind the other
            begins.append(match.start())
        behind = match.start() + _page_bytes(content[match.start() : match.start() + MOST_PAGE_BYTES])
    if len(begins) == 1:
        return None
    links = []
    for begin, end in pairwise([*begins, len(content)]):
        _check_last_page(content[max(begin, end - TAIL_BYTES) : end])
        with soundfile.SoundFile(io.BytesIO(content[begin:end])) as stream:
            links.append(_Decoded(stream.samplerate, _blocks(stream, stream.frames)))
    if len({(link.sampling_rate, len(link.samples)) for link in links}) > 1:
        raise BadAudio(
            f"{len(links)} Ogg streams one after the other, of different sampling rates or channels; "
            "convert it, as with ffmpeg"
        )
    return _Decoded(links[0].sampling_rate, np.concatenate([link.samples for link in links], axis=1))


def _check_sphere(path: Path) -> None:
    """BadAudio if a SPHERE file has fewer bytes of samples than the ``sample_count`` of its header."""
    with path.open("rb") as stream:
        head = stream.read(16).split()
        header_bytes = int(head[1]) if len(head) > 1 and head[1].isdigit() else 1024
        stream.seek(0)
        header = stream.read(min(header_bytes, MOST_HEADER_BYTES)).decode("latin-1")
        there = stream.seek(0, os.SEEK_END) - header_bytes
    fields = dict(re.findall(r"^(\w+) -\w+ (\d+)", header, re.MULTILINE))
    packed = "shorten" in header or "shortpack" in header  # fewer bytes than samples
    if not packed and fields.keys() >= {"sample_count", "sample_n_bytes"}:
        promised = int(fields["sample_count"]) * int(fields["sample_n_bytes"])
        promised *= int(fields.get("channel_count", "1"))
        if there < promised:
            raise BadAudio(f"torn: the header promises {promised} bytes of samples, {there} are there")


def _decoded(path: Path) -> _Decoded | None:
    """The decoded file if it is an MP3, or Ogg of several streams, else None."""
    with path.open("rb") as stream:
        head = stream.read(mp3_frames.HEAD_BYTES)
    status = path.stat()
    if head.startswith(b"OggS"):
        return _decode_chain(str(path), status.st_size, status.st_mtime_ns)
    if not mp3_frames.may_begin(head):
        with soundfile.SoundFile(str(path)) as sound:
            if sound.format != "MP3":
                return None
    return _decode_mp3(str(path), status.st_size, status.st_mtime_ns)


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
