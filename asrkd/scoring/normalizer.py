"""What is done to a text before its words are compared: named rules, with a version and a hash.

Two scores can be compared only if their texts were normalized alike, so a score keeps the name, the
version and the hash of the rules. The rules are data; the hash is that of the data, and
tests/scoring/test_normalizer.py holds it to the version. A step that is done differently gets another word.

``none``   words are what whitespace separates; case and punctuation count.
``sclite`` A to Z become small letters, as for NIST's sclite without its ``-s``; other letters stay.
``basic``  Unicode's NFKC form (full-width letters, ligatures), case folding, no punctuation (Unicode's
           categories P) but apostrophes within words, all of which are written ``'``. Other punctuation
           separates words: ``well-known`` are two. Numbers and symbols stay.
``turkish``  ``basic`` with the case rules of Turkish and Azerbaijani (and of Crimean Tatar, Kazakh and
           others in Latin letters with ı): I is the capital of ı, and İ that of i.

Case folding is Unicode's full one, which is that of no language: ß, ẞ and ss are one, as are σ, ς and Σ. The
dot that i and j have anyway is dropped where it is written out, so that İ, i with U+0307 (as in Lithuanian)
and i are one. That I is the capital of ı is right in Turkish and its kin alone: under ``basic`` ı is a letter
of its own, and :func:`case_warning` says so where it matters. What is not done: accents are never dropped, so
that Greek capitals, which are written without tonos, differ from small letters with it (ΑΘΗΝΑ, Αθήνα), and so
do French ones without accents; ä is not ae; numbers and abbreviations are not spelled out.

Unicode is that of the running Python (``unicodedata``); its versions agree on characters that they share.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from asrkd.scoring.text_rules import Definitions, TextRules, find_rules

SMALL_LETTERS = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # for str.translate
_APOSTROPHES = ("replace", "[\u2018\u2019\u02bc`\u00b4]", "'")
_COMPOSED = (_APOSTROPHES, ("NFKC",))  # in this order: NFKC takes some apart
_FOLDED = (
    ("casefold",),
    ("replace", "(?<=[ij\u012f\u1ecb])\u0307+", ""),  # a dot over i, j, į, ị: that of İ after folding too
    ("NFKC",),  # folding can leave what NFKC would have composed
    _APOSTROPHES,
    ("space for punctuation but", "'"),
    ("space outside words for", "'"),
    ("single spaces",),
)

DEFINITIONS: Definitions = {
    "none": (1, (("single spaces",),)),
    "sclite": (1, (("small letters of ASCII",), ("single spaces",))),
    "basic": (2, (*_COMPOSED, *_FOLDED)),  # 1 kept the dot of İ
    "turkish": (1, (*_COMPOSED, ("replace", "\u0130", "i"), ("replace", "I", "\u0131"), *_FOLDED)),
}
_OF_TURKISH = re.compile("[\u0130\u0131]|I\u0307")


class Normalizer(TextRules):
    """Which normalizer: kept with a score, and compared."""


def find_normalizer(name: str) -> Normalizer:
    """The rules of a name as they are now.

    Raises:
        AsrkdError: there are none of that name.
    """
    return find_rules(Normalizer, name, DEFINITIONS, "--normalizer")


def normalize(text: str, normalizer: Normalizer) -> str:
    """``text`` after the rules, its words separated by single spaces."""
    for done in _functions(normalizer.name):
        text = done(text)
    return text


def case_warning(texts: Iterable[str], normalizer: Normalizer) -> str | None:
    """A line for a person where texts look Turkish and are folded by the rules of other languages.

    Args:
        texts: as they are before the rules.
        normalizer: the rules.

    Returns:
        None where no text has İ or ı, or the rules are those of Turkish or fold nothing.
    """
    if normalizer.name != "basic":
        return None
    text = next((text for text in texts if _OF_TURKISH.search(text)), None)
    if text is None:
        return None
    return (
        f"texts hold İ or ı, e.g. {text[:60]!r}: --normalizer basic takes I for the capital of i; where they "
        "are Turkish or Azerbaijani, score with --normalizer turkish"
    )


@cache
def _functions(name: str) -> Sequence[Callable[[str], str]]:
    return [_function(*step) for step in DEFINITIONS[name][1]]


def _function(what: str, *how: str) -> Callable[[str], str]:
    if what == "NFKC":
        return lambda text: unicodedata.normalize("NFKC", text)
    if what == "casefold":
        return str.casefold
    if what == "small letters of ASCII":
        return lambda text: text.translate(SMALL_LETTERS)
    if what == "replace":
        return lambda text: re.sub(how[0], how[1], text)
    if what == "single spaces":
        return lambda text: " ".join(text.split())
    if what == "space for punctuation but":
        table = _Spaces(how[0])
        return lambda text: text.translate(table)
    if what == "space outside words for":
        return lambda text: re.sub(re.escape(how[0]), _space_outside_words, text)
    raise ValueError(f"no such step: {what}")


class _Spaces(dict[int, int]):
    """For str.translate: a space for each character of Unicode's categories P, but for some."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(character): ord(character) for character in kept})

    def __missing__(self, code: int) -> int:
        self[code] = ord(" ") if unicodedata.category(chr(code)).startswith("P") else code
        return self[code]


def _space_outside_words(found: re.Match[str]) -> str:
    """What was found where letters, marks or digits are on both sides, a space elsewhere."""
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    inside = all(side and unicodedata.category(side)[0] in "LMN" for side in (before, after))
    return found[0] if inside else " "
