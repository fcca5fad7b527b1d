"""Pages of Ogg files: whether the last one ends its stream, and streams one after the other.

Source: RFC 3533, sections 4 (chains) and 6 (pages).
"""

import re
from itertools import pairwise

TAIL_BYTES = 1 << 17  # a page has at most MOST_PAGE_BYTES, so the last one lies in here
MOST_PAGE_BYTES = 65307
# Marked as the beginning, at no position yet, with the sequence number 0 behind the stream's own number.
_FIRST_PAGE = re.compile(rb"OggS\0[\2\6]\0{8}.{4}\0{4}", re.DOTALL)


def ends_stream(content: bytes) -> bool:
    """Whether the last page of ``content`` is whole, and marked as the end of its stream.

    Args:
        content: of a file or a link of a chain, all of it or the last ``TAIL_BYTES``.
    """
    tail = content[-TAIL_BYTES:]
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    return len(page) >= 27 and len(page) >= _page_bytes(page) and bool(page[5] & 4)


def chain(content: bytes) -> list[tuple[int, int]]:
    """(begin, end) in bytes of the streams of a file that come one after the other; mostly it has one."""
    begins, behind = [0], 0
    for match in _FIRST_PAGE.finditer(content):
        if match.start() != behind:  # streams side by side begin on pages one behind the other
            begins.append(match.start())
        behind = match.start() + _page_bytes(content[match.start() : match.start() + MOST_PAGE_BYTES])
    return list(pairwise([*begins, len(content)]))


def _page_bytes(page: bytes) -> int:
    return 27 + page[26] + sum(page[27 : 27 + page[26]])
