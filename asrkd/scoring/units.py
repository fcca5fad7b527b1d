"""Units of error rates: words, characters or a mixture, defined by named rules with a version and a hash.

A text is cut into units before it is aligned.

======== ==== ==============================================================================================
unit     rate units
======== ==== ==============================================================================================
word     WER  words, separated by whitespace
char     CER  every character that is not whitespace; blanks are ignored
mixed    MER  Han, kana, Bopomofo, Thai, Lao, Khmer, Myanmar and the Tai scripts by character; other
              text (Latin, Cyrillic, Hangul, digits) by words. A change between the two also separates units
======== ==== ==============================================================================================

``char`` is for scripts without blanks, where two transcribers put blanks in different places or none;
``mixed`` is for text that switches between such a script and one with blanks (mixed error rate, as
on SEAME).

A character is a code point of Unicode's composed form (NFC): é, and か with dakuten, are one character
however they were typed. Vowel signs and tone marks without a composed form, as in Thai and Devanagari,
count as characters. This is the practice of the field: wenet's ``compute-wer.py --char=1``, ESPnet's
``char`` tokenizer, SpeechIO's scripts, jiwer's and Hugging Face's ``cer`` all count code points, and so do
published rates of Thai on Common Voice. With extended grapheme clusters a wrong tone mark would be a wrong
syllable, rates could not be compared with published ones, and clusters differ between versions of Unicode.
Where these tools differ from each other: blanks are ignored as in wenet and SpeechIO (ESPnet and jiwer
count them); ``char`` cuts Latin words into letters as SpeechIO does, and ``mixed`` keeps them whole as
wenet does (which cuts Hangul, though it has blanks); punctuation is left to the normalizer (wenet drops a
list of it).

Variation selectors and the two joiners (U+200C, U+200D) are never characters by themselves; they stay with
the character before them. The zero-width space, by which Thai, Khmer and Myanmar texts separate words,
the word joiner and the byte order mark count as blanks in ``char`` and ``mixed``.

The rules are data, including ranges of code points: only NFC depends on the version of Unicode, and it is
stable. The hash is that of the data; tests/scoring/test_units.py ties it to the version.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from asrkd.core.errors import AsrkdError
from asrkd.scoring.text_rules import Definitions, TextRules, find_rules

_ZERO_WIDTH_BLANKS = r"\u200b\u2060\ufeff"
_STAY_WITH_BASE = r"\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
_BY_CHARACTER = "".join(
    (
        r"\u2e80-\u2fff",  # CJK radicals, ideographic description
        r"\u3001-\u302d\u3030-\u312f\u3190-\u31ff\u02ea\u02eb",  # CJK punctuation, 々 〇, kana, ー, Bopomofo
        r"\u3220-\u325f\u3280-\u33ff",  # enclosed and squared CJK
        r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd",  # Han
        r"\ufe10-\ufe1f\ufe30-\ufe4f\uff61-\uff9f",  # upright punctuation, half-width Katakana
        r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff60",  # full-width punctuation
        r"\U00016fe0-\U00016fff\U0001aff0-\U0001b16f\U0001f200-\U0001f2ff",  # kana and Han, supplements
        r"\u0e00-\u0eff",  # Thai, Lao
        r"\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\U000116d0-\U000116ff",  # Myanmar
        r"\u1780-\u17ff\u19e0-\u19ff",  # Khmer
        r"\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf",  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    )
)

# The characters of a step are the inside of a character class of a regular expression.
DEFINITIONS: Definitions = {
    "word": (1, (("whitespace separates",),)),
    "char": (1, (("no whitespace nor", _ZERO_WIDTH_BLANKS), ("NFC",), ("each with", _STAY_WITH_BASE))),
    "mixed": (
        1,
        (
            ("space for", _ZERO_WIDTH_BLANKS),
            ("NFC",),
            ("each of these with, other words whole", _BY_CHARACTER, _STAY_WITH_BASE),
        ),
    ),
}

# Rate, unit and title, for messages; not part of the hash.
_WORDING = {
    "word": ("WER", "word", "Word error rate"),
    "char": ("CER", "character", "Character error rate"),
    "mixed": ("MER", "unit", "Mixed error rate"),
}


class Unit(TextRules):
    """A unit of error rates: recorded with a score or a store, and compared between them."""

    @property
    def rate(self) -> str:
        """Short name of the error rate: WER, CER or MER."""
        return _WORDING[self.name][0]

    @property
    def rate_name(self) -> str:
        """Full name of the error rate, as a title: Word error rate."""
        return _WORDING[self.name][2]

    @property
    def noun(self) -> str:
        """Name of one unit: word, character, or unit where they are mixed."""
        return _WORDING[self.name][1]

    @property
    def nouns(self) -> str:
        """Plural of :attr:`noun`."""
        return f"{self.noun}s"

    def record(self) -> dict[str, Any]:
        """Return ``{"unit": ...}``, or ``{}`` for the word, which is left out; see :func:`read_unit`."""
        return {} if self == WORD else {"unit": asdict(self)}


def find_unit(name: str) -> Unit:
    """Look up the current rules of a unit.

    Raises:
        AsrkdError: there is no unit of that name.
    """
    return find_rules(Unit, name, DEFINITIONS, "--unit")


WORD = find_unit("word")


def read_unit(record: Mapping[str, Any], where: str, remedy: str) -> Unit:
    """Read the unit from the record of a score or a store; the word if the record names none.

    Args:
        record: JSON object with an optional key ``unit``.
        where: path of the file, for errors.
        remedy: the command that makes the file again, for errors.

    Raises:
        AsrkdError: there is no unit of that name, or its rules are not the current rules.
    """
    recorded = record.get("unit")
    if recorded is None:
        return WORD
    for unit in map(find_unit, DEFINITIONS):
        if recorded == asdict(unit):
            return unit
    raise AsrkdError(f"{where}: its unit {recorded!r} has rules that this asrkd does not know; {remedy}")


def units(text: str, unit: Unit = WORD) -> list[str]:
    """Cut a text into units, left to right; none of them contains whitespace."""
    prepare, divide = _functions(unit.name)
    for step in prepare:
        text = step(text)
    return divide(text)


def spaced(text: str, unit: Unit = WORD) -> str:
    """Join the units of a text with single spaces, for tools that split words at whitespace."""
    return " ".join(units(text, unit))


@cache
def _functions(name: str) -> tuple[Sequence[Callable[[str], str]], Callable[[str], list[str]]]:
    """Compile the rules of a unit: steps that prepare a text, and the step that divides it."""
    *prepare, divide = DEFINITIONS[name][1]
    return [_preparation(*step) for step in prepare], _division(*divide)


def _preparation(what: str, *how: str) -> Callable[[str], str]:
    if what == "NFC":
        return lambda text: unicodedata.normalize("NFC", text)
    if what == "no whitespace nor":
        blanks = re.compile(rf"[\s{how[0]}]+")
        return lambda text: blanks.sub("", text)
    if what == "space for":
        characters = re.compile(f"[{how[0]}]")
        return lambda text: characters.sub(" ", text)
    raise ValueError(f"no such step: {what}")


def _division(what: str, *how: str) -> Callable[[str], list[str]]:
    if what == "whitespace separates":
        return str.split
    if what == "each with":
        return re.compile(rf".[{how[0]}]*", re.DOTALL).findall
    if what == "each of these with, other words whole":
        return re.compile(rf"[{how[0]}][{how[1]}]*|[^\s{how[0]}]+").findall
    raise ValueError(f"no such step: {what}")
