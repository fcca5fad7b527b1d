"""Completeness of audio files: the length that a header or the structure promises, against the file's bytes.

Sources: RFC 3533, sections 4 (chains of Ogg streams) and 6 (pages); NIST SPHERE headers.
"""

import os
import re
from itertools import pairwise
from pathlib import Path

MAX_HEADER_BYTES = 1 << 16  # of a SPHERE file
# Writers to a pipe cannot go back to fill in the size; they write the largest size, or about that.
_UNKNOWN_BYTES = 0x7FFFF000

TAIL_BYTES = 1 << 17  # the end of an Ogg file, which holds its last page
MAX_PAGE_BYTES = 65307
# First page of an Ogg stream: its flag, granule position 0 and, after the serial number, sequence number 0.
_FIRST_PAGE = re.compile(rb"OggS\0[\2\6]\0{8}.{4}\0{4}", re.DOTALL)


class BadAudio(Exception):
    """Cause why the audio of one item cannot be used; the item goes to the quarantine with it."""


def check_whole(path: Path, kind: str, log: str) -> None:
    """Raise BadAudio if a file ends before its header, or the structure of its format, says.

    Args:
        path: the audio file.
        kind: libsndfile's name of the format.
        log: libsndfile's log about the header.
    """
    for match in re.finditer(r"^\s*([\w -]*?)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE):
        name, promised, present = match[1], int(match[2]), int(match[3])
        if present < promised < _UNKNOWN_BYTES and name != "RIFF":  # the size of the whole file is often off
            raise BadAudio(f"torn: the header promises {promised} bytes of samples, {present} are there")
    if counts := re.search(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)", log):
        raise BadAudio(f"torn: the header promises {counts[2]} samples, {counts[1]} are there")
    if kind == "OGG":
        with path.open("rb") as stream:
            stream.seek(max(path.stat().st_size - TAIL_BYTES, 0))
            check_end(stream.read())
    elif kind == "NIST":
        _check_sphere(path)


def check_end(ogg: bytes) -> None:
    """Raise BadAudio unless the last page of an Ogg stream is whole and marked as its end.

    Args:
        ogg: bytes of a file or of a link of a chain, all or the last ``TAIL_BYTES``.
    """
    tail = ogg[-TAIL_BYTES:]
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if not (len(page) >= 27 and len(page) >= _page_bytes(page) and page[5] & 4):
        raise BadAudio("torn: its last Ogg page is not the end of the stream")


def ogg_chain(content: bytes) -> list[tuple[int, int]]:
    """Return (begin, end) in bytes of the consecutive Ogg streams of a file; most files have one."""
    begins, next_page = [0], 0
    for match in _FIRST_PAGE.finditer(content):
        if match.start() != next_page:  # first pages of multiplexed streams follow one another
            begins.append(match.start())
        next_page = match.start() + _page_bytes(content[match.start() : match.start() + MAX_PAGE_BYTES])
    return list(pairwise([*begins, len(content)]))


def _page_bytes(page: bytes) -> int:
    return 27 + page[26] + sum(page[27 : 27 + page[26]])


def _check_sphere(path: Path) -> None:
    """Raise BadAudio if a SPHERE file has fewer bytes of samples than the ``sample_count`` of its header."""
    with path.open("rb") as stream:
        head = stream.read(16).split()
        header_bytes = int(head[1]) if len(head) > 1 and head[1].isdigit() else 1024
        stream.seek(0)
        header = stream.read(min(header_bytes, MAX_HEADER_BYTES)).decode("latin-1")
        present = stream.seek(0, os.SEEK_END) - header_bytes
    fields = dict(re.findall(r"^(\w+) -\w+ (\d+)", header, re.MULTILINE))
    is_packed = "shorten" in header or "shortpack" in header  # fewer bytes than samples
    if not is_packed and fields.keys() >= {"sample_count", "sample_n_bytes"}:
        promised = int(fields["sample_count"]) * int(fields["sample_n_bytes"])
        promised *= int(fields.get("channel_count", "1"))
        if present < promised:
            raise BadAudio(f"torn: the header promises {promised} bytes of samples, {present} are there")


def with_unknown_size(wav: bytes) -> bytes:
    """Return a WAV file whose writer left the sizes at 0, as to a pipe, with the size that means unknown.

    An empty file has its true size in the header, and stays as it is.
    """
    place = wav.find(b"data\0\0\0\0", 12)
    if place < 0 or len(wav) == place + 8 or int.from_bytes(wav[4:8], "little") == len(wav) - 8:
        return wav
    unknown = b"\xff\xff\xff\xff"
    return wav[:4] + unknown + wav[8 : place + 4] + unknown + wav[place + 8 :]
