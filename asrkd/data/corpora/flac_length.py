"""The length of a FLAC file whose header does not say it, as encoders that write to a pipe leave it.

Source: RFC 9639, sections 8.2 (streaminfo) and 9.1 (frame headers).
"""

import re

_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_STREAMINFO = 8  # byte where the block begins: after "fLaC" and the block's header
_FIXED_SIZES = {1: 192} | {code: 576 << (code - 2) for code in range(2, 6)}
_FIXED_SIZES |= {code: 256 << (code - 8) for code in range(8, 16)}
MOST_HEADER_BYTES = 16


def with_length(content: bytes) -> bytes:
    """The same file with the number of its samples in the header, by its last frame.

    Raises:
        ValueError: no frame can be found.
    """
    total = last_sample(content)
    patched = bytearray(content)
    low = _STREAMINFO + 13  # the length has 36 bits, the first four of them in this byte
    patched[low] = patched[low] & 0xF0 | total >> 32
    patched[low + 1 : low + 5] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(patched)


def last_sample(content: bytes) -> int:
    """How many samples of a channel there are up to the end of the last frame whose header is whole.

    Raises:
        ValueError: it is no FLAC file, or no frame can be found.
    """
    if content[:4] != b"fLaC":
        raise ValueError("no FLAC stream")
    usual_size = int.from_bytes(content[_STREAMINFO + 2 : _STREAMINFO + 4], "big")
    for match in reversed(list(_SYNC.finditer(content, _STREAMINFO))):
        header = content[match.start() : match.start() + MOST_HEADER_BYTES]
        if (found := _frame_end(header, usual_size)) is not None:
            return found
    raise ValueError("a FLAC stream without a frame")


def _frame_end(header: bytes, usual_size: int) -> int | None:
    """Number of the sample after a frame; None if these bytes are no frame's header."""
    number, place = _coded_number(header)
    if number is None or place >= len(header):
        return None
    size_code, rate_code = header[2] >> 4, header[2] & 15
    if size_code in (6, 7):
        width = size_code - 5
        size = int.from_bytes(header[place : place + width], "big") + 1
        place += width
    else:
        size = _FIXED_SIZES.get(size_code, 0)
    place += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if not size or rate_code == 15 or place >= len(header) or _crc8(header[:place]) != header[place]:
        return None
    return number + size if header[1] & 1 else number * usual_size + size


def _coded_number(header: bytes) -> tuple[int | None, int]:
    """The number of a frame or of its first sample, coded as UTF-8 codes characters; the byte after it."""
    if len(header) < 5:
        return None, 0
    first = header[4]
    if first < 0x80:
        return first, 5
    extra = 8 - (first ^ 0xFF).bit_length() - 1  # leading ones, less one
    rest = header[5 : 5 + extra]
    if not 1 <= extra <= 6 or len(rest) < extra or any(byte >> 6 != 2 for byte in rest):
        return None, 0
    number = first & (0x3F >> extra)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, 5 + extra


def _crc8(content: bytes) -> int:
    """Of the polynomial x^8 + x^2 + x + 1, begun with 0."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
