"""Kaldi's text files (wav.scp, text, segments, utt2spk, utt2dur): a key and a value a line.

Read as Kaldi itself reads them: key and value, and the fields of a value, are separated by any run of
blanks, tabs, form feeds and the like (C's ``isspace``), which may also stand before the key and at the end
of a line. No-break and ideographic spaces are letters to Kaldi and stay.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asrkd.core import files

WHITESPACE = " \t\n\v\f\r"  # of C's isspace in the locale "C"
_RUN = re.compile(f"[{WHITESPACE}]+")
_NO_BLANK = re.compile(r"[\t\n\v\f\r]")


class Row(NamedTuple):
    """A line of a file."""

    where: str  # file:line, for messages
    key: str  # empty only of a line without anything
    value: str  # the rest, maybe empty; tabs and the like in it are blanks

    def fields(self) -> list[str]:
        """The value, parted where there is whitespace."""
        return _RUN.split(self.value) if self.value else []


def read_rows(path: Path) -> Iterator[Row]:
    """All lines of a file, gzipped or not.

    Raises:
        AsrkdError: no such file, or it is torn or not UTF-8; the line is named.
    """
    for number, line in files.read_lines(path):
        yield Row(f"{path}:{number}", *split_row(line))


def split_row(line: str) -> tuple[str, str]:
    """Key and value of a line; both are empty where it holds nothing."""
    key, *rest = _RUN.split(line.strip(WHITESPACE), maxsplit=1)
    return key, _NO_BLANK.sub(" ", rest[0]) if rest else ""
