"""Normalizers: what they do to a text, and that they do not change under their name and version."""

import hashlib
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.scoring import normalizer as module
from asrkd.scoring.normalizer import case_warning, find_normalizer, normalize

NONE, BASIC, TURKISH = map(find_normalizer, ("none", "basic", "turkish"))

# Letters whose case or composition is out of the common, with marks that can come between.
ODD = "iIıİjJįĮịỊßẞſςσΣĳ\u0307\u0301\u0323\u0328'\u2019 -"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The\tCAT,\u00a0sat. ", "the cat sat"),
        ("Don't -- 'quote' the dogs' rock 'n' roll!", "don't quote the dogs rock n roll"),
        ("It\u2019s O\u02bcNeill`s", "it's o'neill's"),
        ("well-known e.g. 3,5", "well known e g 3 5"),
        ("ＷＩＤＥ ﬁne №5", "wide fine no5"),
        ("STRASSE Straße", "strasse strasse"),
        ("नमस्ते, दुनिया।", "नमस्ते दुनिया"),  # vowel signs are marks, which \\w would lose
        ("你好，世界。", "你好 世界"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9"),
        ("100% + $5", "100 + $5"),
        ("...", ""),
        ("", ""),
    ],
)
def test_basic_by_hand(text, expected):
    assert normalize(text, BASIC) == expected


@pytest.mark.parametrize(
    "forms",
    [
        ["STRASSE", "Straße", "STRAẞE", "strasse"],
        ["ΟΔΟΣ", "οδος", "οδοσ", "Οδοσ"],  # final sigma
        ["İSTANBUL".lower(), "İstanbul", "I\u0307stanbul", "i\u0307stanbul", "istanbul"],
        ["J\u0307is", "j\u0307is", "jis"],  # Lithuanian keeps the dot below an accent
        ["Į\u0307\u0301", "į\u0301"],
        ["ﬁne", "FINE", "ﬁNE"],
    ],
)
def test_forms_that_every_language_takes_for_one_are_one(forms):
    assert len({normalize(form, BASIC) for form in forms}) == 1


@pytest.mark.parametrize(
    ("capitals", "small"),
    [
        ("ISPARTA IŞIK", "ısparta ışık"),
        ("İSTANBUL İĞDIR", "istanbul iğdır"),
        ("I\u0307ZMI\u0307R", "izmir"),  # decomposed
        ("DİYARBAKIR, ÇANKIRI!", "diyarbakır çankırı"),
        ("AZƏRBAYCANIN ƏN BÖYÜK ŞƏHƏRİ", "azərbaycanın ən böyük şəhəri"),
        ("HÂLÂ ÎMÂN", "hâlâ îmân"),
    ],
)
def test_turkish_capitals_have_the_small_letters_of_turkish(capitals, small):
    assert normalize(capitals, TURKISH) == normalize(small, TURKISH) == small
    assert normalize(small, BASIC) == small


def test_turkish_does_to_texts_without_i_what_basic_does():
    text = "Don't -- ＷＯＲＤ, STRAßE ΟΔΟΣ No. 5!"
    assert normalize(text, TURKISH) == normalize(text, BASIC)


def test_basic_does_not_fold_the_turkish_dotless_i():
    assert normalize("IŞIK", BASIC) != normalize("ışık", BASIC)


def test_text_that_looks_turkish_gives_a_warning():
    for text in ("kapı", "İzmir", "I\u0307zmir"):
        line = case_warning(["IT IS", text], BASIC)
        assert "--normalizer turkish" in line and repr(text) in line and "\n" not in line
        assert case_warning([text], TURKISH) is case_warning([text], NONE) is None
    assert case_warning(["IT IS", "i\u0307", ""], BASIC) is None


def test_none_leaves_all_but_whitespace():
    assert normalize(" Don't,\u00a0 \n PANIC! ", NONE) == "Don't, PANIC!"


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text(ODD), st.sampled_from([NONE, BASIC, TURKISH]))
def test_once_is_as_good_as_twice(text, normalizer):
    once = normalize(text, normalizer)
    assert normalize(once, normalizer) == once
    assert once == " ".join(once.split())


def test_the_rules_are_those_of_their_version():
    """If this fails, the rules changed: raise the version, then write down the new hashes."""
    assert (NONE.version, NONE.sha256) == (
        1,
        "7f2f5f4d809a038298de9c9a97b28f675765e277ad429ca65520bda5792f0ce7",
    )
    assert (BASIC.version, BASIC.sha256) == (
        2,
        "0cf098aa40fb0671f90f48b541c3c6c75f1c96cba1c55529329d90c6c06b6040",
    )
    assert (TURKISH.version, TURKISH.sha256) == (
        1,
        "ad499b83b02e55aa5f7f52991bf95b863bde29c58fcf91e3e3ff1197637c2488",
    )


def test_what_the_rules_do_is_that_of_their_version():
    """The hash covers the rules as data; this covers the code that follows them, on old characters."""
    every = map(chr, range(0x20, 0x3200))
    characters = [character for character in every if unicodedata.ucd_3_2_0.category(character) != "Cn"]
    texts = [f"A{character}B {character}C D{character}" for character in characters]
    for rules, expected in (
        (BASIC, "5f4d866b1e9a9bf0a95b9c8b356b50acaaae1a9501955e069ae8a51f3ae3c6ce"),
        (TURKISH, "05bd4cc8d2e2a63c70d254dd1b967857b37b6b3a56b688f00fea39d8c8bbf6f2"),
    ):
        found = json.dumps([normalize(text, rules) for text in texts])
        assert hashlib.sha256(found.encode()).hexdigest() == expected


def test_a_change_of_the_rules_changes_the_hash(monkeypatch):
    version, steps = module.DEFINITIONS["basic"]
    for changed in (steps[:-1], steps[1:], (*steps, ("casefold",))):
        monkeypatch.setitem(module.DEFINITIONS, "basic", (version, changed))
        assert find_normalizer("basic").sha256 != BASIC.sha256
    monkeypatch.setitem(module.DEFINITIONS, "basic", (version + 1, steps))
    assert find_normalizer("basic") != BASIC


def test_a_normalizer_of_another_name_is_refused():
    with pytest.raises(AsrkdError, match="--normalizer whisper: expected one of .*none, sclite, turkish"):
        find_normalizer("whisper")
