"""Normalisers: what they do to a text, and that they do not change under their name and version."""

import hashlib
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.errors import AsrkdError
from asrkd.scoring import normaliser as module
from asrkd.scoring.normaliser import find_normaliser, normalise

NONE, BASIC = find_normaliser("none"), find_normaliser("basic")


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
    assert normalise(text, BASIC) == expected


def test_none_leaves_all_but_whitespace():
    assert normalise(" Don't,\u00a0 \n PANIC! ", NONE) == "Don't, PANIC!"


@settings(max_examples=200, deadline=None)
@given(st.text(), st.sampled_from([NONE, BASIC]))
def test_once_is_as_good_as_twice(text, normaliser):
    once = normalise(text, normaliser)
    assert normalise(once, normaliser) == once
    assert once == " ".join(once.split())


def test_the_rules_are_those_of_their_version():
    """If this fails, the rules changed: raise the version, then write down the new hashes."""
    assert (NONE.version, NONE.sha256) == (
        1,
        "7f2f5f4d809a038298de9c9a97b28f675765e277ad429ca65520bda5792f0ce7",
    )
    assert (BASIC.version, BASIC.sha256) == (
        1,
        "cb745336139125a736ebf6d848c97646f82c0a67ad251b5b4f16b764742db18b",
    )


def test_what_the_rules_do_is_that_of_their_version():
    """The hash covers the rules as data; this covers the code that follows them, on old characters."""
    every = map(chr, range(0x20, 0x3200))
    characters = [character for character in every if unicodedata.ucd_3_2_0.category(character) != "Cn"]
    texts = [f"A{character}B {character}C D{character}" for character in characters]
    found = hashlib.sha256(json.dumps([normalise(text, BASIC) for text in texts]).encode()).hexdigest()
    assert found == "fd215204f74653fc443d948b868bfe203fb7c7585a1384aca020a34236acd46a"


def test_a_change_of_the_rules_changes_the_hash(monkeypatch):
    version, steps = module.DEFINITIONS["basic"]
    for changed in (steps[:-1], steps[1:], (*steps, ("casefold",))):
        monkeypatch.setitem(module.DEFINITIONS, "basic", (version, changed))
        assert find_normaliser("basic").sha256 != BASIC.sha256
    monkeypatch.setitem(module.DEFINITIONS, "basic", (version + 1, steps))
    assert find_normaliser("basic") != BASIC


def test_a_normaliser_of_another_name_is_refused():
    with pytest.raises(AsrkdError, match="--normaliser whisper: expected one of basic, none"):
        find_normaliser("whisper")
