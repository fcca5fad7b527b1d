"""Edits, letter by letter; their numbers are jiwer's, whatever the texts."""

import jiwer
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.scoring.counts import Counts, corpus_counts, word_counts
from asrkd.scoring.edits import levenshtein_distances, levenshtein_edits
from asrkd.scoring.word_alignment import align_many, align_words, check_alignment, word_pairs
from tests.scoring.test_sclite import generated

LETTERS = st.lists(st.sampled_from("abcd"), max_size=12)
# Words of any script, long and short lines; jiwer splits words at spaces alone.
UNICODE = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=4), max_size=8
)
LONG = st.lists(st.sampled_from(["a", "b", "the", "cat"]), min_size=190, max_size=210)
PAIRS = st.one_of(
    st.tuples(LETTERS, LETTERS),
    st.tuples(UNICODE, UNICODE),
    st.tuples(LONG, LONG),
    LETTERS.map(lambda w: (w, w)),
)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "edits"),
    [
        ("the cat sat", "the cat sat", "==="),
        ("the cat sat", "a cat", "S=D"),
        ("the cat sat", "the cat sat on", "===I"),
        ("", "uh", "I"),
        ("uh", "", "D"),
        ("", "", ""),
    ],
)
def test_edits_written_by_hand(reference, hypothesis, edits):
    assert levenshtein_edits(reference.split(), hypothesis.split()) == edits


def test_words_that_are_spelled_alike_are_not_characters():
    assert levenshtein_edits(["ab"], ["a", "b"]) == "IS"
    assert levenshtein_edits("ab", "a b") == "=I="


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["A", "B", "CC"]), min_size=1), st.lists(st.lists(st.sampled_from("ABD"))))
def test_distances_to_several_hypotheses_are_jiwers_errors(reference, hypotheses):
    found = levenshtein_distances(reference, hypotheses)
    for own, words in zip(found, hypotheses, strict=True):
        counted = jiwer.process_words(" ".join(reference), " ".join(words))
        assert own == counted.substitutions + counted.deletions + counted.insertions


@settings(max_examples=60, deadline=None)
@given(st.lists(PAIRS, min_size=1, max_size=4))
@example([([], ["a"]), (["a"], []), ([], [])])
def test_totals_are_jiwers_over_the_same_pairs(pairs):
    ours = corpus_counts(word_counts(edits) for edits in align_many(pairs, "levenshtein"))
    texts = [" ".join(reference) for reference, _ in pairs], [" ".join(heard) for _, heard in pairs]
    theirs = jiwer.process_words(*texts)
    assert ours == Counts(theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions)


def test_totals_are_jiwers_over_three_thousand_pairs():
    """The pairs that sclite is compared on: repeats, empties, letters, many scripts, lines of 200 words."""
    pairs = generated(3000, seed=4)
    edits = align_many(pairs, "levenshtein")
    for size in (1, 3000):  # each by itself, and all
        for start in range(0, len(pairs), size):
            texts = [[" ".join(pair[side]) for pair in pairs[start : start + size]] for side in (0, 1)]
            theirs = jiwer.process_words(*texts)
            ours = corpus_counts(map(word_counts, edits[start : start + size]))
            assert ours == Counts(theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_the_words_that_stand_together_are_jiwers(pair):
    texts = [" ".join(words) for words in pair]
    expected = []
    for chunk in jiwer.process_words(*texts).alignments[0]:
        said = pair[0][chunk.ref_start_idx : chunk.ref_end_idx]
        heard = pair[1][chunk.hyp_start_idx : chunk.hyp_end_idx]
        size = max(len(said), len(heard))
        expected += zip(said + [None] * (size - len(said)), heard + [None] * (size - len(heard)), strict=True)
    assert align_words(*texts) == expected


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.sampled_from(["levenshtein", "sclite"]))
def test_the_edits_take_every_word_once_and_equal_ones_are_hits(pair, alignment):
    (edits,) = align_many([pair], alignment)
    pairs = word_pairs(*pair, edits)
    assert [said for said, _ in pairs if said is not None] == pair[0]
    assert [heard for _, heard in pairs if heard is not None] == pair[1]
    for (said, heard), edit in zip(pairs, edits, strict=True):
        assert (edit == "=") == (said == heard)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_sclites_alignment_never_has_fewer_errors(pair):
    plain, weighted = (word_counts(align_many([pair], name)[0]) for name in ("levenshtein", "sclite"))
    assert weighted.errors >= plain.errors
    assert weighted.num_words == plain.num_words


def test_an_alignment_of_another_name_is_refused():
    with pytest.raises(AsrkdError, match="--alignment kaldi: expected one of levenshtein, sclite"):
        check_alignment("kaldi")
