"""Mutations of bytes and of text in lines and columns, whatever the format."""

from collections.abc import Callable
from random import Random

from tests.fuzz.odd_values import NUMBERS, TEXTS

BytesMutation = Callable[[bytes, Random], bytes]


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """Flip, cut, double or insert bytes anywhere."""
    return rng.choice(_OF_BYTES)(data, rng)


def mutate_text(data: bytes, rng: Random) -> bytes:
    """Change lines, columns, separators, characters or the encoding of a text; now and then just bytes."""
    (chosen,) = rng.choices(_OF_TEXT, weights=(5, 6, 3, 3, 1, 1))
    return chosen(data, rng)


def mutate_lines(data: bytes, rng: Random) -> bytes:
    """Double, remove, swap, join or add lines."""
    lines = data.split(b"\n")
    row, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(9)
    if what == 0:
        lines.insert(other, lines[row])
    elif what == 1:
        del lines[row]
    elif what == 2:
        lines[row], lines[other] = lines[other], lines[row]
    elif what == 3:
        lines.insert(
            row,
            rng.choice((b"", b" ", b"\t", b"\x00", b"garbage", b"# comment", b";; comment", b"{}", b"[]")),
        )
    elif what == 4:
        lines[row : row + 2] = [b" ".join(lines[row : row + 2])]
    elif what == 5:
        lines[row] = lines[row][: rng.randrange(len(lines[row]) + 1)]
    elif what == 6:
        lines[row] = lines[row] * rng.choice((2, 300))
    elif what == 7:
        lines = lines[:row]
    else:
        lines.reverse()
    return b"\n".join(lines)


def mutate_columns(data: bytes, rng: Random) -> bytes:
    """Double, remove, swap, empty or replace columns of a line, or of all lines alike."""
    lines = data.split(b"\n")
    separator = b"\t" if b"\t" in data else b" "
    row = rng.randrange(len(lines))
    column, other, what = rng.randrange(5), rng.randrange(5), rng.randrange(7)
    odd = _encoded(rng.choice(NUMBERS if rng.random() < 0.5 else TEXTS))
    rows = range(len(lines)) if rng.random() < 0.15 else [row]
    for number in rows:
        cells = lines[number].split(separator)
        here, there = column % len(cells), other % len(cells)
        if what == 0:
            cells.insert(there, cells[here])
        elif what == 1:
            del cells[here]
        elif what == 2:
            cells[here], cells[there] = cells[there], cells[here]
        elif what == 3:
            cells[here] = b""
        elif what in (4, 5):
            cells[here] = odd
        else:
            cells.insert(here, odd)
        lines[number] = separator.join(cells)
    return b"\n".join(lines)


def mutate_separators(data: bytes, rng: Random) -> bytes:
    """Exchange separators and line ends, of one line or of all."""
    old, new = rng.choice(
        (
            (b"\t", b" "), (b" ", b"\t"), (b" ", b"  "), (b"\t", b"\t\t"), (b" ", b"\xc2\xa0"),
            (b"\t", b","),
            (b"\n", b"\r\n"), (b"\n", b"\r"), (b"\n", b" \n"), (b"\n", b"\t\n"), (b"\n",
            b"\n\n"), (b"\n", b"\n "),
            (b"\n", b"\xe2\x80\xa8"), (b"\n", b"\x0b"), (b"\n", b"\x0c"), (b"\n", b"\xc2\x85"),
        )
    )  # fmt: skip
    if rng.random() < 0.5:
        return data.replace(old, new)
    places = [place for place in range(len(data)) if data.startswith(old, place)]
    if not places:
        return data
    place = rng.choice(places)
    return data[:place] + new + data[place + len(old) :]


def mutate_characters(data: bytes, rng: Random) -> bytes:
    """Insert odd text somewhere, or put it in a character's place."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + _encoded(rng.choice(TEXTS)) + data[place + rng.randrange(2) :]


def mutate_encoding(data: bytes, rng: Random) -> bytes:
    """The same text in another encoding, or with a mark in front."""
    what = rng.randrange(7)
    if what == 0:
        return b"\xef\xbb\xbf" + data
    if what == 1:
        return b"\xef\xbb\xbf" * 2 + data
    if what == 2:
        return data + rng.choice((b"\xe9", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"))
    text = data.decode("utf-8", "replace")
    return text.encode(("utf-16", "utf-16-le", "utf-32", "latin-1")[what - 3], "replace")


def _flip(data: bytes, rng: Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        if flipped:
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _flip_front(data: bytes, rng: Random) -> bytes:
    return _flip(data[:64], rng) + data[64:]


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.choice((rng.randrange(len(data) + 1), max(len(data) - rng.randrange(9), 0)))]


def _behead(data: bytes, rng: Random) -> bytes:
    return data[rng.choice((rng.randrange(len(data) + 1), 1, 4)) :]


def _double(data: bytes, rng: Random) -> bytes:
    first, last = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:last] + data[first:]


def _blot(data: bytes, rng: Random) -> bytes:
    place, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 64, 1000))
    return data[:place] + rng.choice((b"\x00", b"\xff", b"A")) * size + data[place + size :]


def _insert(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.choice((1, 4, 100))) + data[place:]


def _empty(_data: bytes, rng: Random) -> bytes:
    return rng.choice((b"", b"", b"\n", b"\x00", b"\xff"))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_OF_BYTES: tuple[BytesMutation, ...] = (
    _flip,
    _flip,
    _flip_front,
    _cut,
    _behead,
    _double,
    _blot,
    _insert,
    _empty,
)
_OF_TEXT: tuple[BytesMutation, ...] = (
    mutate_lines,
    mutate_columns,
    mutate_separators,
    mutate_characters,
    mutate_encoding,
    mutate_bytes,
)
