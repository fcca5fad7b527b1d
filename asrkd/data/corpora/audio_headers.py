"""What the header or the structure of an audio file promises, held against what is there."""

import os
import re
from pathlib import Path

from asrkd.data.corpora import ogg_pages

MOST_HEADER_BYTES = 1 << 16  # of a SPHERE file
# Writers to a pipe cannot go back to fill in the size; they put the largest there is, or about that.
_UNKNOWN_BYTES = 0x7FFFF000


class BadAudio(Exception):
    """Why the audio of one item cannot be used; the item is set aside with it."""


def check_whole(path: Path, kind: str, log: str) -> None:
    """BadAudio if a file ends before its header, or the structure of its format, says."""
    for match in re.finditer(r"^\s*([\w -]*?)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE):
        name, promised, there = match[1], int(match[2]), int(match[3])
        if there < promised < _UNKNOWN_BYTES and name != "RIFF":  # of the whole file, and often off a little
            raise BadAudio(f"torn: the header promises {promised} bytes of samples, {there} are there")
    if counts := re.search(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)", log):
        raise BadAudio(f"torn: the header promises {counts[2]} samples, {counts[1]} are there")
    if kind == "OGG":
        with path.open("rb") as stream:
            stream.seek(max(path.stat().st_size - ogg_pages.TAIL_BYTES, 0))
            check_end(stream.read())
    elif kind == "NIST":
        _check_sphere(path)


def check_end(ogg: bytes) -> None:
    """BadAudio unless the last page of an Ogg stream is its end."""
    if not ogg_pages.ends_stream(ogg):
        raise BadAudio("torn: its last Ogg page is not the end of the stream")


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


def with_unknown_size(wav: bytes) -> bytes:
    """A WAV file whose writer left the sizes at 0, as to a pipe, with the size that stands for unknown.

    A file that is empty indeed has its own size in the header, and stays as it is.
    """
    place = wav.find(b"data\0\0\0\0", 12)
    if place < 0 or len(wav) == place + 8 or int.from_bytes(wav[4:8], "little") == len(wav) - 8:
        return wav
    unknown = b"\xff\xff\xff\xff"
    return wav[:4] + unknown + wav[8 : place + 4] + unknown + wav[place + 8 :]
