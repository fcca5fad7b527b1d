"""Vocabulary of an n-gram model in ARPA format, and a check that a recognizer's tokens can spell its words.

Without the check, a model in another letter case or language would score every word as ``<unk>``.
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


def arpa_words(path: Path) -> Iterator[str]:
    """Iterate over the words of an ARPA file, gzipped or not, except ``<s>``, ``</s>`` and ``<unk>``.

    A file in another format, such as kenlm's binary, yields nothing, and a
    corrupt one nothing or a part: kenlm reports the error.
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
    """Iterate over the lines of section ``\\1-grams:``; none unless ``\\data\\`` comes first."""
    line = b"\n"
    while line and not line.strip():
        line = stream.readline(100)  # a line of a binary file may be long
    if line.strip() != b"\\data\\":
        return
    for line in stream:
        if line.strip() == b"\\1-grams:":
            break
    for line in stream:
        if line.startswith(b"\\"):
            return
        yield line


def check_spelling(path: Path, spelled: Sequence[str]) -> None:
    """Check that a recognizer's tokens spell a word of an ARPA file; other formats pass.

    Args:
        path: ARPA file; it is read up to the first word that can be spelled.
        spelled: spelling of each token, with a space before the start of a word.

    Raises:
        AsrkdError: the file lists words, and the tokens spell none of them.
    """
    inside = {spelling for spelling in spelled[BOUNDARY + 1 :] if not spelling.startswith(" ")}
    first = inside | {spelling[1:] for spelling in spelled if spelling.startswith(" ")}
    count, example = 0, ""
    for word in arpa_words(path):
        if _can_spell(word, first, inside):
            return
        count, example = count + 1, example or word
    if count:
        tokens = ", ".join(sorted(spelling for spelling in first if spelling)[:8])
        raise AsrkdError(
            f"--lm {path}: the recognizer's tokens ({tokens}, ...) spell none of its {count} words, such as "
            f"{example!r}; train it on text in the letter case of the recognizer's transcripts"
        )


def _can_spell(word: str, first: set[str], inside: set[str]) -> bool:
    """Whether the word is one token of ``first``, followed by any number of tokens ``inside``."""
    reached = {0}
    for end in range(1, len(word) + 1):
        if any(word[start:end] in (inside if start else first) for start in reached):
            reached.add(end)
    return len(word) in reached
