"""Frames of MP3 files: their number, whether the last one is whole, and the number that a tag promises.

libsndfile takes the length of a file without a Xing, Info or VBRI tag from the bit rate of its first frame
and the size of the file, ID3 tags included, and reads no further. Here the frames are parsed one by one,
each header giving the place of the next, and are decoded as a stream, which has no wrong length.

Source of the tables: ISO/IEC 11172-3, 2.4.2.3, and 13818-3, 2.4.2.3 (bit rates, sampling rates, samples).
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HEADER_BYTES = 4
CHAIN = 4  # consecutive frames of one kind that count as audio
HEAD_BYTES = 10  # bytes of a file for the detection of MP3
# kbit/s by index 1 to 14 of (MPEG 1, layer); MPEG 2 and 2.5 share theirs.
_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLING_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version
_TAG = re.compile(rb"(?:Xing|Info)(.{4})(.{4})|VBRI.{10}(.{4})", re.DOTALL)
_HAS_COUNT = 1  # flag of Xing and Info


@dataclass(frozen=True)
class Mp3Frames:
    """Frames of an MP3 file."""

    content: bytes
    spans: list[tuple[int, int]]  # (begin, end) in bytes of every whole frame, without tags
    promised: int | None  # number of frames in the tag of the first frame; None: no tag, or no number
    missing_bytes: int  # bytes that the last frame lacks, if the file ends within it
    other_kind_at: int | None  # byte where frames of another sampling rate or version begin

    @property
    def is_as_promised(self) -> bool:
        """Whether a tag has the right number; some encoders count the tag's frame too."""
        return self.promised is not None and 0 <= self.promised - len(self.spans) <= 1

    def audio(self) -> bytes:
        """Return the bytes of all whole frames."""
        return b"".join(self.content[start:end] for start, end in self.spans)


def may_begin(head: bytes) -> bool:
    """Return whether the first ``HEAD_BYTES`` of a file may be MP3: an ID3 tag or a frame."""
    return head[:3] == b"ID3" or frame_bytes(head[:HEADER_BYTES]) > 0


def walk(content: bytes) -> Mp3Frames | None:
    """Parse the frames of an MP3 file; None if there are none, as with free bit rates."""
    place, spans, kind, missing = _after_id3(content), [], None, 0
    if content[place : place + 4] in (b"fLaC", b"RIFF", b"OggS"):  # their bytes may look like frames
        return None
    promised = other = expected = None
    while (place := content.find(b"\xff", place)) >= 0:
        header = content[place : place + HEADER_BYTES]
        length = frame_bytes(header)
        if not length or (kind is not None and _kind(header) != kind):
            if length and other is None and _begins_chain(content, place):
                other = place
            place += 1
            continue
        end = place + length
        # Bytes in other data (a picture in a tag after the audio) may look like a header. It is one only
        # if another follows, or the file ends there.
        if place != expected and end != len(content) and not _is_followed(content, place):
            place += 1
            continue
        if end > len(content):
            missing = end - len(content)
            break
        tag = _tag_count(content[place:end]) if kind is None else None
        kind = _kind(header)
        if tag is None:
            spans.append((place, end))
        else:
            promised = tag or None
        place = expected = end
    return Mp3Frames(content, spans, promised, missing, other) if spans else None


def without_id3(content: bytes) -> bytes:
    """Return ``content`` after its ID3v2 tags."""
    return content[_after_id3(content) :]


def frame_bytes(header: bytes) -> int:
    """Return the size in bytes of the frame with this header; 0 for no header, or a free bit rate."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, sampling = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or rate in (0, 15) or sampling == 3:
        return 0
    bits = 1000 * _RATES[version == 3, layer][rate - 1]
    hertz, padding = _SAMPLING_RATES[version][sampling], header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    samples = 1152 if layer == 2 or version == 3 else 576
    return samples // 8 * bits // hertz + padding


@contextmanager
def piped(content: bytes) -> Iterator[int]:
    """Yield the descriptor of a pipe with ``content``, which the reader must close."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as stream:
            try:
                stream.write(content)
            except BrokenPipeError:  # the reader closed the pipe early
                return

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield reading
    thread.join()


def _kind(header: bytes) -> tuple[int, int]:
    """Return version and layer, and sampling rate: equal in all frames of a file."""
    return header[1] & 0xFE, header[2] & 0x0C


def _is_followed(content: bytes, place: int) -> bool:
    """Return whether another frame of the same kind follows the one at ``place``."""
    header = content[place : place + HEADER_BYTES]
    end = place + frame_bytes(header)
    following = content[end : end + HEADER_BYTES]
    return frame_bytes(following) > 0 and _kind(following) == _kind(header)


def _begins_chain(content: bytes, place: int) -> bool:
    """Return whether ``CHAIN`` frames of one kind follow at ``place``, as never in other data."""
    for _ in range(CHAIN):
        if not _is_followed(content, place):
            return False
        place += frame_bytes(content[place : place + HEADER_BYTES])
    return True


def _after_id3(content: bytes) -> int:
    """Return the place after the ID3v2 tags (id3.org, ID3v2.4 structure, 3.1)."""
    place = 0
    while content[place : place + 3] == b"ID3" and len(content) >= place + 10:
        size = 0
        for byte in content[place + 6 : place + 10]:
            size = size << 7 | byte & 0x7F
        place += 10 + size + (10 if content[place + 5] & 0x10 else 0)  # a footer
    return place


def _tag_count(frame: bytes) -> int | None:
    """Return the number of frames in the tag of a first frame, 0 if the tag has none; None without a tag."""
    tag = _TAG.search(frame[: HEADER_BYTES + 36 + 20])
    if not tag:
        return None
    if tag[3]:
        return int.from_bytes(tag[3], "big")
    return int.from_bytes(tag[2], "big") if tag[1][3] & _HAS_COUNT else 0
