"""Length of a FLAC file without one in its header, as encoders that write to a pipe leave it.

Source: RFC 9639, sections 8.2 (streaminfo) and 9.1 (frame headers).
"""

import re

_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_STREAMINFO = 8  # byte where the block begins: after "fLaC" and the block's header
_FIXED_SIZES = {1: 192} | {code: 576 << (code - 2) for code in range(2, 6)}
_FIXED_SIZES |= {code: 256 << (code - 8) for code in range(8, 16)}
MAX_HEADER_BYTES = 16


def with_length(content: bytes) -> bytes:
    """Return the file with the number of samples in its header, counted by the last frame.

    Raises:
        ValueError: no frame can be found.
    """
    total = last_sample(content)
    patched = bytearray(content)
    low = _STREAMINFO + 13  # the length has 36 bits, the first four in this byte
    patched[low] = patched[low] & 0xF0 | total >> 32
    patched[low + 1 : low + 5] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(patched)


def last_sample(content: bytes) -> int:
    """Return the number of samples per channel up to the end of the last frame with a whole header.

    Raises:
        ValueError: not a FLAC file, or no frame can be found.
    """
    if content[:4] != b"fLaC":
        raise ValueError("not a FLAC stream")
    block_size = int.from_bytes(content[_STREAMINFO + 2 : _STREAMINFO + 4], "big")
    for match in reversed(list(_SYNC.finditer(content, _STREAMINFO))):
        header = content[match.start() : match.start() + MAX_HEADER_BYTES]
        if (end := _frame_end(header, block_size)) is not None:
            return end
    raise ValueError("a FLAC stream without a frame")


def _frame_end(header: bytes, block_size: int) -> int | None:
    """Return the number of the sample after a frame; None if the bytes are not a frame header.

    ``block_size`` is the number of samples per frame in a stream of fixed size.
    """
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
    return number + size if header[1] & 1 else number * block_size + size


def _coded_number(header: bytes) -> tuple[int | None, int]:
    """Decode a frame's number or first sample, coded like UTF-8; return it and the place after it."""
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
    """Return the CRC of the polynomial x^8 + x^2 + x + 1 with initial value 0."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
