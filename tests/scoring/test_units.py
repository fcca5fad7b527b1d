"""Units: what texts are cut into, against hand, other programs and Unicode's own table of scripts."""

import hashlib
import unicodedata
from dataclasses import asdict

import jiwer
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.scoring import units as module
from asrkd.scoring.counts import count_errors
from asrkd.scoring.units import WORD, find_unit, read_unit, spaced, units

CHAR, MIXED = find_unit("char"), find_unit("mixed")

HAN = st.text("今天气很好我们去吃饭吗々〇龘𠮷", max_size=12)
NO_BLANKS = st.text("今天カーどゞﾊﾟไทยน้ำລາວខ្មែរမြန်မာㄅ、。", max_size=12)
LATIN = st.text("abc dEé' ßжя한국7 \t\u00a0", max_size=16)
ANYTHING = st.one_of(NO_BLANKS, LATIN, st.text("今天abc ไท 한", max_size=16), st.text(max_size=12))


@pytest.mark.parametrize(
    ("text", "char", "mixed"),
    [
        ("今天 天气", "今 天 天 气", "今 天 天 气"),
        ("今天天气很好 OK吗", "今 天 天 气 很 好 O K 吗", "今 天 天 气 很 好 OK 吗"),
        ("我买了iPhone 15和don't", "我 买 了 i P h o n e 1 5 和 d o n ' t", "我 买 了 iPhone 15 和 don't"),
        ("カード、東京タワー", "カ ー ド 、 東 京 タ ワ ー", "カ ー ド 、 東 京 タ ワ ー"),
        ("はちじ HACHI時", "は ち じ H A C H I 時", "は ち じ HACHI 時"),
        ("ｶｰﾄﾞ ＡＢＣ！", "ｶ ｰ ﾄ ﾞ Ａ Ｂ Ｃ ！", "ｶ ｰ ﾄ ﾞ ＡＢＣ ！"),
        ("กินน้ำ wifi", "ก ิ น น ้ ำ w i f i", "ก ิ น น ้ ำ wifi"),
        ("ຂອບໃຈ ok", "ຂ ອ ບ ໃ ຈ o k", "ຂ ອ ບ ໃ ຈ ok"),
        ("안녕 하세요", "안 녕 하 세 요", "안녕 하세요"),
        ("Привет, мир", "П р и в е т , м и р", "Привет, мир"),
        ("", "", ""),
        (" \t\n\u3000", "", ""),
    ],
)
def test_texts_cut_by_hand(text, char, mixed):
    assert units(text, CHAR) == char.split()
    assert units(text, MIXED) == mixed.split()
    assert units(text) == units(text, WORD) == text.split()


def test_composed_and_decomposed_characters_are_one():
    for text in ("café", "がぎぐ", "한국", "Việt"):
        apart = unicodedata.normalize("NFD", text)
        assert units(apart, CHAR) == list(text)
        assert units(apart, MIXED) == units(text, MIXED)


def test_variation_selectors_and_joiners_are_not_split_off():
    assert units("葛\U000e0100城 ❤\ufe0f", CHAR) == ["葛\U000e0100", "城", "❤\ufe0f"]
    assert units("葛\U000e0100城ab", MIXED) == ["葛\U000e0100", "城", "ab"]
    assert units("می\u200cروم", CHAR) == ["م", "ی\u200c", "ر", "و", "م"]


@pytest.mark.parametrize("blank", ["\u200b", "\u2060", "\ufeff"])
def test_zero_width_blanks_are_blanks_in_unspaced_scripts(blank):
    assert units(f"ไป{blank}บ้าน", CHAR) == units(f"ไป{blank}บ้าน", MIXED) == list("ไปบ้าน")
    assert units(f"a{blank}b", MIXED) == ["a", "b"]


@settings(max_examples=300, deadline=None)
@given(ANYTHING, st.lists(st.tuples(st.integers(0, 16), st.sampled_from(" \t\u3000\u200b"))))
def test_blanks_anywhere_change_no_characters(text, blanks):
    spread = text
    for place, blank in blanks:
        spread = spread[:place] + blank + spread[place:]
    assert units(spread, CHAR) == units(text, CHAR)


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_every_text_is_whole_in_its_units_and_cut_once_for_all(text):
    for unit in (WORD, CHAR, MIXED):
        found = units(text, unit)
        assert all(one and one.split() == [one] for one in found)
        assert units(spaced(text, unit), unit) == found
    joined = unicodedata.normalize("NFC", "".join(text.replace("\u200b", " ").split()))
    assert "".join(units(text, CHAR)) == joined or {"\ufeff", "\u2060"} & set(text)


@settings(max_examples=200, deadline=None)
@given(LATIN)
def test_mixed_units_of_scripts_with_blanks_are_words(text):
    composed = unicodedata.normalize("NFC", text)
    assert units(text, MIXED) == composed.split()


@settings(max_examples=200, deadline=None)
@given(st.one_of(HAN, NO_BLANKS))
def test_mixed_units_of_scripts_without_blanks_are_characters(text):
    assert units(text, MIXED) == units(text, CHAR)


@settings(max_examples=200, deadline=None)
@given(NO_BLANKS, NO_BLANKS)
def test_character_errors_are_jiwers_of_texts_without_blanks(reference, hypothesis):
    reference, hypothesis = (unicodedata.normalize("NFC", text) for text in (reference, hypothesis))
    assume(reference)
    theirs = jiwer.process_characters(reference, hypothesis)
    ours = count_errors(" ".join(reference), hypothesis, CHAR)
    expected = theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions
    assert (ours.hits, ours.substitutions, ours.deletions, ours.insertions) == expected


@settings(max_examples=200, deadline=None)
@given(ANYTHING, ANYTHING, st.sampled_from([CHAR, MIXED]))
def test_errors_are_jiwers_of_units_with_blanks_between(reference, hypothesis, unit):
    assume(units(reference, unit))
    theirs = jiwer.process_words(spaced(reference, unit), spaced(hypothesis, unit))
    assert count_errors(reference, hypothesis, unit).errors == (
        theirs.substitutions + theirs.deletions + theirs.insertions
    )


# Of Unicode's scripts those whose words blanks do not separate, and some of the others.
BY_CHARACTER = "Han Hiragana Katakana Bopomofo Thai Lao Khmer Myanmar Tai_Le New_Tai_Lue Tai_Tham Tai_Viet"
WHOLE = (
    "Latin Greek Cyrillic Hangul Arabic Hebrew Devanagari Bengali Tamil Georgian Armenian Ethiopic Mongolian"
)


def test_single_characters_follow_the_scripts_of_unicode():
    regex = pytest.importorskip("regex")
    alone = regex.compile("|".join(rf"\p{{Script={name}}}" for name in BY_CHARACTER.split()))
    whole = regex.compile("|".join(rf"\p{{Script={name}}}" for name in WHOLE.split()))
    assigned = [
        c for c in map(chr, range(0x21, 0x33480)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")
    ]
    assert len(assigned) > 100_000
    for character in assigned:
        if alone.match(character):
            assert len(units(f"a{character}b", MIXED)) >= 3, hex(ord(character))
        elif whole.match(character) and unicodedata.normalize("NFC", f"a{character}b")[1:-1] == character:
            assert len(units(f"a{character}b", MIXED)) == 1, hex(ord(character))


def test_the_rules_are_those_of_their_version():
    """If this fails, the rules changed: raise the version, then write down the new hashes."""
    assert {name: (find_unit(name).version, find_unit(name).sha256) for name in module.DEFINITIONS} == {
        "word": (1, "a96f414eb75156a53cf65d63120cc2609404651a1b3a58fe8ef48755a0547c77"),
        "char": (1, "83b9fe2e86d533dd36fbb42c2861dae8e72e636ddf90553c3a547b484e4f60a4"),
        "mixed": (1, "63c3e08f0dd84b2f63ab54b1993b2815789b794c27ff2600a57705c296d8af0c"),
    }


def test_what_the_rules_do_is_that_of_their_version():
    """The hash covers the rules as data; this covers the code that follows them, on characters that stay."""
    characters = [c for c in map(chr, range(0x20, 0x32000)) if unicodedata.ucd_3_2_0.category(c) != "Cn"]
    done = hashlib.sha256()
    for character in characters:
        for unit in (CHAR, MIXED):
            done.update(
                spaced(f"a{character}b {character} 今{character}", unit).encode("utf-8", "surrogatepass")
            )
    assert done.hexdigest() == "1b3279a68dffebcdee06d75ebd8655665dfab4908288fd2975c1554e8926da91"


def test_a_change_of_the_rules_changes_the_hash(monkeypatch):
    version, steps = module.DEFINITIONS["mixed"]
    for changed in (
        (version + 1, steps),
        (version, steps[1:]),
        (version, (*steps[:2], (*steps[2][:2], "x"))),
    ):
        monkeypatch.setitem(module.DEFINITIONS, "mixed", changed)
        assert find_unit("mixed") != MIXED


def test_records_without_a_unit_are_of_words():
    assert read_unit({}, "x", "do it anew") == WORD
    assert WORD.record() == {}
    for unit in (CHAR, MIXED):
        assert read_unit(unit.record(), "x", "do it anew") == unit
        assert unit.record() == {"unit": asdict(unit)}


@pytest.mark.parametrize(
    "record",
    [
        {"name": "syllable", "version": 1, "sha256": "0"},
        {"name": "char", "version": 0, "sha256": "0"},
        asdict(CHAR) | {"sha256": "0" * 64},
        "char",
        ["char"],
        {},
        {"name": ["char"]},
    ],
)
def test_rules_of_another_time_are_refused_with_the_remedy(record):
    with pytest.raises(
        AsrkdError, match="^here: its unit .* rules that this asrkd does not know; do it anew$"
    ):
        read_unit({"unit": record}, "here", "do it anew")


def test_a_unit_of_another_name_is_refused():
    with pytest.raises(AsrkdError, match="--unit syllable: expected one of char, mixed, word"):
        find_unit("syllable")


def test_rates_have_the_names_of_the_field():
    assert [find_unit(name).rate for name in ("word", "char", "mixed")] == ["WER", "CER", "MER"]
    assert CHAR.rate_name == "Character error rate"
    assert (WORD.nouns, CHAR.nouns, MIXED.nouns) == ("words", "characters", "units")
