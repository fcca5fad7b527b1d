"""MP3 files by their frames: how many there are, whether the last one is whole, what a tag promises.

libsndfile takes the length of a file without a Xing, Info or VBRI tag from the bit rate of its first frame
and the size of the file, ID3 tags included, and reads no further than that. Here frames are walked one by
one, each header saying where the next one is, and are decoded as a stream, which has no length to be wrong.

Source of the tables: ISO/IEC 11172-3, 2.4.2.3, and 13818-3, 2.4.2.3 (bit rates, sampling rates, samples).
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HEADER_BYTES = 4
CHAIN = 4  # frames of one kind in a row are audio
HEAD_BYTES = 10  # of a file, by which it is told apart
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
    """The frames of a file."""

    content: bytes
    spans: list[tuple[int, int]]  # first byte and the one after the last, of every whole frame, tags left out
    promised: int | None  # how many the tag in the first frame says there are; None: it says nothing
    missing_bytes: int  # of the last frame, where the file ends within it
    other_kind_at: int | None  # byte where frames of another sampling rate or version begin

    @property
    def is_as_promised(self) -> bool:
        """Whether a tag has the right number; some encoders count its own frame too."""
        return self.promised is not None and 0 <= self.promised - len(self.spans) <= 1

    def audio(self) -> bytes:
        """All whole frames, one after the other."""
        return b"".join(self.content[start:end] for start, end in self.spans)


def may_begin(head: bytes) -> bool:
    """Whether a file with these first ``HEAD_BYTES`` may be an MP3: an ID3 tag or a frame begins it."""
    return head[:3] == b"ID3" or frame_bytes(head[:HEADER_BYTES]) > 0


def walk(content: bytes) -> Mp3Frames | None:
    """The frames of an MP3 file; None where they cannot be told apart (bit rates of no table)."""
    place, spans, kind, missing = _after_id3(content), [], None, 0
    if content[place : place + 4] in (b"fLaC", b"RIFF", b"OggS"):  # whose bytes may look like frames
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
        # What looks like a header within junk (a picture in a tag behind the audio) is one only if
        # another follows, or the file ends there.
        if place != expected and end != len(content) and not _is_followed(content, place):
            place += 1
            continue
        if end > len(content):
            missing = end - len(content)
            break
        tag = _promise(content[place:end]) if kind is None else None
        kind = _kind(header)
        if tag is None:
            spans.append((place, end))
        else:
            promised = tag or None
        place = expected = end
    return Mp3Frames(content, spans, promised, missing, other) if spans else None


def without_id3(content: bytes) -> bytes:
    """``content`` from where its ID3v2 tags end."""
    return content[_after_id3(content) :]


def frame_bytes(header: bytes) -> int:
    """Bytes of the frame that begins with these four; 0 if they are no header, or of a free bit rate."""
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
    """A descriptor from which ``content`` can be read once, as from a pipe; whoever takes it closes it."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as stream:
            try:
                stream.write(content)
            except BrokenPipeError:  # the reader has had enough
                return

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield reading
    thread.join()


def _kind(header: bytes) -> tuple[int, int]:
    """Version and layer, and sampling rate: alike in all frames of a file."""
    return header[1] & 0xFE, header[2] & 0x0C


def _is_followed(content: bytes, place: int) -> bool:
    """Whether behind the frame at ``place`` there is another of its kind."""
    header = content[place : place + HEADER_BYTES]
    end = place + frame_bytes(header)
    following = content[end : end + HEADER_BYTES]
    return frame_bytes(following) > 0 and _kind(following) == _kind(header)


def _begins_chain(content: bytes, place: int) -> bool:
    """Whether at ``place`` there are frames of one kind, which in junk do not come in chains."""
    for _ in range(CHAIN):
        if not _is_followed(content, place):
            return False
        place += frame_bytes(content[place : place + HEADER_BYTES])
    return True


def _after_id3(content: bytes) -> int:
    """Where the audio may begin: after ID3v2 tags (id3.org, ID3v2.4 structure, 3.1), whose size is told."""
    place = 0
    while content[place : place + 3] == b"ID3" and len(content) >= place + 10:
        size = 0
        for byte in content[place + 6 : place + 10]:
            size = size << 7 | byte & 0x7F
        place += 10 + size + (10 if content[place + 5] & 0x10 else 0)  # a footer
    return place


def _promise(frame: bytes) -> int | None:
    """Frames that the tag in a first frame counts, 0 where it counts none; None: it has no tag."""
    found = _TAG.search(frame[: HEADER_BYTES + 36 + 20])
    if not found:
        return None
    if found[3]:
        return int.from_bytes(found[3], "big")
    return int.from_bytes(found[2], "big") if found[1][3] & _HAS_COUNT else 0
