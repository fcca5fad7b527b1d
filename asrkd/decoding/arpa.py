"""The words of an n-gram model in ARPA form, and whether a recognizer's tokens can spell any.

One of another case or vocabulary is read without complaint: to it every word is ``<unk>``.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.models.stepwise import BOUNDARY

_NO_WORDS = frozenset({"<s>", "</s>", "<unk>"})
_GZIP = b"\x1f\x8b"


def words_of(path: Path) -> Iterator[str]:
    """The words that an ARPA file lists, gzipped or not, but for ``<s>``, ``</s>`` and ``<unk>``.

    Of a file in another form, such as kenlm's binary one, or a torn one nothing or a part:
    what is wrong with it is for its reader to say.
    """
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP
        with gzip.open(path) if is_gzip else path.open("rb") as stream:
            for line in _unigrams(stream):
                columns = line.split()
                word = columns[1].decode("utf-8", errors="replace") if len(columns) > 1 else ""
                if word and word.lower() not in _NO_WORDS:
                    yield word
    except (OSError, EOFError, zlib.error):
        return


def _unigrams(stream: BufferedIOBase) -> Iterator[bytes]:
    """The lines between ``\\1-grams:`` and the section after it; none unless ``\\data\\`` comes first."""
    line = b"\n"
    while line and not line.strip():
        line = stream.readline(100)  # a binary file's may be long
    if line.strip() != b"\\data\\":
        return
    for line in stream:
        if line.strip() == b"\\1-grams:":
            break
    for line in stream:
        if line.startswith(b"\\"):
            return
        yield line


def require_words(path: Path, spelled: Sequence[str]) -> None:
    """Refuse an ARPA file none of whose words can be recognized; of another form it lets any pass.

    Args:
        path: of the file; it is read up to the first word that can be spelled.
        spelled: what each token spells, with a space before the beginning of a word.

    Raises:
        AsrkdError: it lists words, and the tokens spell none of them.
    """
    inside = {own for own in spelled[BOUNDARY + 1 :] if not own.startswith(" ")}
    first = inside | {own[1:] for own in spelled if own.startswith(" ")}
    count, example = 0, ""
    for word in words_of(path):
        if _can_spell(word, first, inside):
            return
        count, example = count + 1, example or word
    if count:
        shown = ", ".join(sorted(own for own in first if own)[:8])
        raise AsrkdError(
            f"--lm {path}: the recognizer's tokens ({shown}, ...) spell none of its {count} words, such as "
            f"{example!r}; expected those of its transcripts, in their case: make one of such text"
        )


def _can_spell(word: str, first: set[str], inside: set[str]) -> bool:
    """Whether one piece of ``first`` and any number of those ``inside`` make the word."""
    reached = {0}
    for end in range(1, len(word) + 1):
        if any(word[start:end] in (inside if start else first) for start in reached):
            reached.add(end)
    return len(word) in reached
