"""What is done to a text before its words are compared: named rules, with a version and a hash.

Two scores can be compared only if their texts were normalised alike, so a score keeps the name, the
version and the hash of the rules. The rules are data; the hash is that of the data, and
tests/scoring/test_normaliser.py holds it to the version. A step that is done differently gets another word.

``none``   words are what whitespace separates; case and punctuation count.
``basic``  Unicode's NFKC form (full-width letters, ligatures), case folding, no punctuation (Unicode's
           categories P) but apostrophes within words, all of which are written ``'``. Other punctuation
           separates words: ``well-known`` are two. Numbers and symbols stay.

Unicode is that of the running Python (``unicodedata``); its versions agree on all characters that they share.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from asrkd import files
from asrkd.errors import AsrkdError

# A step: what is done, and with what.
Step = tuple[str, ...]

DEFINITIONS: dict[str, tuple[int, tuple[Step, ...]]] = {
    "none": (1, (("single spaces",),)),
    "basic": (
        1,
        (
            ("NFKC",),
            ("casefold",),
            ("NFKC",),  # folding can leave what NFKC would have composed
            ("replace", "[\u2018\u2019\u02bc\u0060\u00b4]", "'"),
            ("space for categories, but between letters, marks or digits", "P", "'"),
            ("single spaces",),
        ),
    ),
}


@dataclass(frozen=True)
class Normaliser:
    """Which rules: kept with a score, and compared."""

    name: str
    version: int
    sha256: str  # of the rules

    def __str__(self) -> str:
        """``basic 1 (0123456789ab)``."""
        return f"{self.name} {self.version} ({self.sha256[:12]})"


def find_normaliser(name: str) -> Normaliser:
    """The rules of a name as they are now.

    Raises:
        AsrkdError: there are none of that name.
    """
    if name not in DEFINITIONS:
        raise AsrkdError(f"--normaliser {name}: expected one of {', '.join(sorted(DEFINITIONS))}")
    version, steps = DEFINITIONS[name]
    return Normaliser(name, version, files.sha256_of({"name": name, "steps": steps}))


def normalise(text: str, normaliser: Normaliser) -> str:
    """``text`` after the rules, its words separated by single spaces."""
    for done in _functions(normaliser.name):
        text = done(text)
    return text


@cache
def _functions(name: str) -> Sequence[Callable[[str], str]]:
    return [_function(*step) for step in DEFINITIONS[name][1]]


def _function(what: str, *how: str) -> Callable[[str], str]:
    if what == "NFKC":
        return lambda text: unicodedata.normalize("NFKC", text)
    if what == "casefold":
        return str.casefold
    if what == "replace":
        return lambda text: re.sub(how[0], how[1], text)
    if what == "single spaces":
        return lambda text: " ".join(text.split())
    if what == "space for categories, but between letters, marks or digits":
        return lambda text: _without(text, *how)
    raise ValueError(f"no such step: {what}")


def _without(text: str, categories: str, kept_within: str) -> str:
    """A space for each character of ``categories``; one of ``kept_within`` stays inside a word."""
    found = [unicodedata.category(character)[0] for character in text]
    return "".join(
        " " if kind in categories and not (character in kept_within and _inside(found, place)) else character
        for place, (character, kind) in enumerate(zip(text, found, strict=True))
    )


def _inside(kinds: Sequence[str], place: int) -> bool:
    """Whether letters, marks or digits are on both sides."""
    return 0 < place < len(kinds) - 1 and kinds[place - 1] in "LMN" and kinds[place + 1] in "LMN"
