"""Word networks against all of their paths tried one by one, and transcripts that are refused."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asrkd.core.errors import AsrkdError
from asrkd.scoring.aligned_network import AlignedNetwork, align_items
from asrkd.scoring.edits import DELETION, HIT, INSERTION, SUBSTITUTION
from asrkd.scoring.network_alignment import FEWEST_ERRORS, SCLITE, AlignmentCosts
from asrkd.scoring.word_network import (
    Alternation,
    Items,
    build_network,
    parse_transcript,
    replace_words,
    slots,
    spelled_in_reference,
    written,
)

WEIGHTS = {HIT: 0, SUBSTITUTION: 4, DELETION: 3, INSERTION: 3}

WORDS = st.sampled_from(["a", "b", "c"])
ITEMS = st.recursive(
    WORDS | st.just("@"),
    lambda inner: st.lists(st.lists(inner, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(
        lambda ways: Alternation(tuple(ways))
    ),
    max_leaves=8,
)
TRANSCRIPTS = st.lists(ITEMS, max_size=4).map(tuple)


def paths(items: Items) -> Iterator[list[str]]:
    """The words of every choice of alternatives."""
    choices = [
        [way for own in item.alternatives for way in paths(own)]
        if isinstance(item, Alternation)
        else [[]] if item == "@" else [[item]]
        for item in items
    ]  # fmt: skip
    for chosen in product(*choices):
        yield sum(chosen, [])


def parse(text: str) -> Items:
    return parse_transcript(text, "x.stm:7", spelled_in_reference)


@settings(max_examples=80, deadline=None)
@given(TRANSCRIPTS)
def test_what_is_written_is_parsed(items):
    assert parse_transcript(written(items), "here") == items


@settings(max_examples=80, deadline=None)
@given(TRANSCRIPTS, TRANSCRIPTS)
def test_the_path_is_the_cheapest_of_all_pairs_of_paths(reference, hypothesis):
    """By rapidfuzz, weighted as sclite weighs errors; the words and counts are those of that path."""
    found = align_items(reference, hypothesis, SCLITE)
    least = min(weighted_distance(said, heard) for said in paths(reference) for heard in paths(hypothesis))
    assert sum(WEIGHTS[edit] for edit in found.edits) == least
    assert found.reference in list(paths(reference)) and found.hypothesis in list(paths(hypothesis))
    assert weighted_distance(found.reference, found.hypothesis) == least


def weighted_distance(said: list[str], heard: list[str]) -> int:
    return Levenshtein.distance(
        "".join(said), "".join(heard), weights=(3, 3, 4)
    )  # insertion, deletion, other


@settings(max_examples=50, deadline=None)
@given(TRANSCRIPTS, TRANSCRIPTS)
def test_levenshteins_rule_makes_the_fewest_errors_of_all_paths(reference, hypothesis):
    found = align_items(reference, hypothesis, FEWEST_ERRORS, fewest_errors=True)
    least = min(Levenshtein.distance(said, heard) for said in paths(reference) for heard in paths(hypothesis))
    assert len(found.edits) - found.edits.count(HIT) == least


@settings(max_examples=80, deadline=None)
@given(TRANSCRIPTS, TRANSCRIPTS)
def test_slots_and_items_have_the_errors_of_the_path(reference, hypothesis):
    """Each system has all slots once, in the same order, and as many errors as were counted."""
    found = align_items(reference, hypothesis, SCLITE)
    errors = len(found.edits) - found.edits.count(HIT)
    pairs = found.network.pairs(found.hypothesis)
    assert sum(said != heard for said, heard in pairs) == errors
    assert [said for said, _ in pairs if said is not None] == ["/".join(words) for words in slots(reference)]
    items = found.network.item_edits()
    assert len(items) - items.count(HIT) == errors
    num_items = sum(bool(slots((item,))) for item in reference)
    assert len(items) - items.count(INSERTION) == num_items


def test_slots_are_word_places_with_their_alternatives():
    assert slots(parse("a { b / c d } @ { { e / f g } h / @ }")) == [
        ["a"], ["b", "c"], ["@", "d"], ["e", "f", "@"], ["@", "g"], ["h", "@"],
    ]  # fmt: skip


def test_two_choices_of_alternatives_by_hand():
    reference = parse("well { i am / i'm } { um / uh / @ } here")
    first = align_items(reference, ("well", "i'm", "uh", "here"), SCLITE)
    second = align_items(reference, ("well", "oh", "i", "are", "here"), SCLITE)
    assert (first.reference, first.edits) == (["well", "i'm", "uh", "here"], "====")
    assert (second.reference, second.edits) == (["well", "i", "am", "here"], "=I=S=")
    assert first.network.edits == "==-==" and second.network.edits == "=I=S-="
    label = ["well", "i/i'm", "am/@", "um/uh/@", "here"]
    assert first.network.pairs(first.hypothesis) == list(zip(label, label, strict=True))
    assert second.network.pairs(second.hypothesis) == [
        ("well", "well"), (None, "oh"), ("i/i'm", "i/i'm"), ("am/@", "are"), ("um/uh/@",) * 2, ("here",) * 2,
    ]  # fmt: skip
    assert first.network.item_edits() == "====" and second.network.item_edits() == "=IS=="


def test_errors_in_one_alternation_share_an_error_map_slot():
    network = AlignedNetwork("a { b c d / e } f", "", "=ISIDD=I")
    assert network.item_edits() == "=I" + "IIIS" + "=I"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "edits"),
    [
        ("a (uh) b", "a b", "=o="),  # left out
        ("a (uh) b", "a uh b", "==="),
        ("a (uh) b", "a um b", "=S="),
        ("a b", "a (uh) b", "=a="),  # added, marked as optional
        ("(uh)", "(uh)", "="),
        ("a- b", "about b", "=="),
        ("about", "-out", "="),
        ("-out x", "route x", "S="),
        ("(ab-)", "about", "="),
        ("(-ut)", "about", "S"),  # sclite looks at the end alone
        ("-", "a", "S"),
    ],
)
def test_optional_words_and_fragments_by_hand(reference, hypothesis, edits):
    costs = AlignmentCosts(optional=True, fragments=True)
    assert align_items(parse(reference), tuple(hypothesis.split()), costs).network.edits == edits


def test_sclite_without_options_reads_brackets_as_letters():
    assert align_items(parse("a (uh) b-"), ("a", "uh", "bit"), SCLITE).edits == "=SS"


def test_words_of_references_are_spelled_as_sclite_spells_them():
    assert parse(r"x;noun p\q w* * a\;b and/or {c;d/e*}") == (
        "x", "pq", "w", "*", "a;b", "and/or", Alternation((("c",), ("e",))),
    )  # fmt: skip


def test_replacing_all_words_of_an_alternative_leaves_no_word():
    items = replace_words(parse("a { b / c d } b"), lambda word: {"b": [], "c": ["x", "y"]}.get(word, [word]))
    assert written(items) == "a { @ / x y d }"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a { b / c", "a { without its }"),
        ("a } b", "a } without its {"),
        ("{ a / b } }", "a } without its {"),
        ("a{b/c}", "a brace in the word 'a'"),
        ("a}", "a brace in the word 'a'"),
        ("{ a b{c/d} }", "a brace in the word 'b'"),
        ("{ }", "an empty alternative; write @"),
        ("{ a / }", "an empty alternative; write @"),
        ("{ / a }", "an empty alternative; write @"),
        ("{" * 30 + " a " + "}" * 30, "braces more than 20 deep"),
        (";x", "is empty in sclite"),
    ],
)
def test_a_transcript_that_sclite_misreads_is_refused_by_line(text, complaint):
    with pytest.raises(AsrkdError) as error:
        parse(text)
    assert str(error.value).startswith("x.stm:7: ") and complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_more_than_can_be_aligned_is_refused(monkeypatch):
    monkeypatch.setattr("asrkd.scoring.network_alignment.MOST_CELLS", 10)
    with pytest.raises(AsrkdError, match="4 words with alternatives against 3: too many to align; divide"):
        align_items(parse("a { b / c }"), ("a", "b"), SCLITE)


def test_arcs_follow_those_that_they_may_follow():
    network = build_network(parse("a { b / c d } e"))
    assert network.words == ["@", "a", "b", "c", "d", "e"]
    assert network.before == [[], [0], [1], [1], [3], [2, 4]]
    assert network.ends == [5] and network.slots == [-1, 0, 1, 1, 2, 3]
