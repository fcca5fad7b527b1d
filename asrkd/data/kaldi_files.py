"""Reader of Kaldi's text files (wav.scp, text, segments, utt2spk, utt2dur): a key and a value per line.

As in Kaldi, key and value, and the fields of a value, are separated by any run of blanks, tabs, form feeds
and the like (C's ``isspace``), which may also be before the key and at the end of a line. No-break and
ideographic spaces are not separators.
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
    """Line of a file, split into key and value."""

    where: str  # file:line, for messages
    key: str  # empty only for an empty line
    value: str  # rest of the line, possibly empty, with blanks in place of tabs and the like

    def fields(self) -> list[str]:
        """Split the value at whitespace."""
        return _RUN.split(self.value) if self.value else []


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the lines of a file, gzipped or not.

    Raises:
        AsrkdError: no such file, a torn file, or a line that is not UTF-8.
    """
    for number, line in files.read_lines(path):
        yield Row(f"{path}:{number}", *split_row(line))


def split_row(line: str) -> tuple[str, str]:
    """Split a line into key and value; both are empty for an empty line."""
    key, *rest = _RUN.split(line.strip(WHITESPACE), maxsplit=1)
    return key, _NO_BLANK.sub(" ", rest[0]) if rest else ""
