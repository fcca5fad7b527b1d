"""Text normalizers, applied before words are compared: named rules with a version and a hash.

Two scores can be compared only if their texts were normalized alike, so a score records the name, version and
hash of the rules. The rules are data and the hash is that of the data; tests/scoring/test_normalizer.py ties
it to the version. When the implementation of a step changes, the step gets another name.

``none``     words are separated by whitespace; case and punctuation count.
``sclite``   A to Z become lowercase, as in NIST's sclite without ``-s``; other letters stay.
``basic``    Unicode's NFKC form (full-width letters, ligatures), case folding, no punctuation (Unicode
             categories P) except apostrophes within words, which all become ``'``. Other punctuation
             separates words: ``well-known`` becomes two words. Numbers and symbols stay.
``turkish``  ``basic`` with the case rules of Turkish and Azerbaijani (and of Crimean Tatar, Kazakh and
             other Latin alphabets with ı): I is the capital of ı, and İ that of i.

Case folding is Unicode's full case folding, which belongs to no language: ß, ẞ and ss are equal, as are σ, ς
and Σ. The dot of i and j is dropped if it is written as a separate character, so that İ, i with U+0307 (as in
Lithuanian) and i are equal. I is the capital of ı only in Turkish and its relatives: in ``basic``, ı is a
separate letter, and :func:`case_warning` warns about it. Accents are never dropped: Greek capitals, written
without tonos, differ from small letters with it (ΑΘΗΝΑ, Αθήνα), and so do French capitals without accents; ä
is not ae. Numbers and abbreviations are not spelled out.

The version of Unicode is that of the running Python (``unicodedata``); versions agree on characters that they
share.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from asrkd.scoring.text_rules import Definitions, TextRules, find_rules

SMALL_LETTERS = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # for str.translate
_APOSTROPHES = ("replace", "[\u2018\u2019\u02bc`\u00b4]", "'")
_COMPOSED = (_APOSTROPHES, ("NFKC",))  # in this order: NFKC decomposes some apostrophes
_FOLDED = (
    ("casefold",),
    ("replace", "(?<=[ij\u012f\u1ecb])\u0307+", ""),  # a dot over i, j, į, ị, also from folding İ
    ("NFKC",),  # folding can give characters that NFKC composes
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
    """A text normalizer: recorded with a score, and compared between scores."""


def find_normalizer(name: str) -> Normalizer:
    """Look up the current rules of a normalizer.

    Raises:
        AsrkdError: there is no normalizer of that name.
    """
    return find_rules(Normalizer, name, DEFINITIONS, "--normalizer")


def normalize(text: str, normalizer: Normalizer) -> str:
    """Apply the rules to a text; its words are then separated by single spaces."""
    for apply in _functions(normalizer.name):
        text = apply(text)
    return text


def case_warning(texts: Iterable[str], normalizer: Normalizer) -> str | None:
    """Warn about texts that look Turkish but are case-folded by the rules of other languages.

    Args:
        texts: texts before normalization.
        normalizer: the normalizer of the score.

    Returns:
        A warning; None if no text has İ or ı, or the normalizer is not ``basic``.
    """
    if normalizer.name != "basic":
        return None
    text = next((text for text in texts if _OF_TURKISH.search(text)), None)
    if text is None:
        return None
    return (
        f"texts contain İ or ı, e.g. {text[:60]!r}: --normalizer basic treats I as the capital of i; if they "
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
    """Table for str.translate: a space for each character of Unicode's categories P, except some."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(character): ord(character) for character in kept})

    def __missing__(self, code: int) -> int:
        self[code] = ord(" ") if unicodedata.category(chr(code)).startswith("P") else code
        return self[code]


def _space_outside_words(match: re.Match[str]) -> str:
    """Keep the match between letters, marks or digits, and replace it with a space elsewhere."""
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    inside = all(side and unicodedata.category(side)[0] in "LMN" for side in (before, after))
    return match[0] if inside else " "
