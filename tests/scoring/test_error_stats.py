"""The errs file."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.scoring.error_stats import WordStats, write_error_stats
from asrkd.scoring.score_corpus import CorpusScore, ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.word_alignment import align_words

TEXTS = st.lists(st.sampled_from(["A", "B", "C", "DD"]), max_size=8).map(" ".join)

REFERENCES = {"utt2": "A B C D", "utt1": "A B", "utt3": "E"}
HYPOTHESES = {"utt1": "A X", "utt2": "A X C", "utt3": "E B"}


def scored(references: dict[str, str], hypotheses: dict[str, str], alignment="levenshtein") -> CorpusScore:
    utterances = [ReferenceUtterance(utt_id, text, "tape") for utt_id, text in references.items()]
    return score_utterances(utterances, hypotheses, Rules(alignment))


def test_a_small_file_written_by_hand(tmp_path):
    write_error_stats(tmp_path / "errs-test.txt", scored(REFERENCES, HYPOTHESES))
    assert (tmp_path / "errs-test.txt").read_text().splitlines() == [
        "%WER = 57.14",
        "Errors: 1 insertions, 1 deletions, 2 substitutions, over 7 reference words (4 correct)",
        "Alignment: levenshtein",
        "Sections: PER-UTT DETAILS:, SUBSTITUTIONS:, DELETIONS:, INSERTIONS:, PER-WORD STATS:",
        "",
        "PER-UTT DETAILS: corr or (ref->hyp)",
        "utt1:\tA (B->X)",
        "utt2:\tA (B->X) C (D->*)",
        "utt3:\tE (*->B)",
        "",
        "SUBSTITUTIONS: count ref -> hyp",
        "2   B -> X",
        "",
        "DELETIONS: count ref",
        "1   D",
        "",
        "INSERTIONS: count hyp",
        "1   B",
        "",
        "PER-WORD STATS: word  corr tot_errs count_in_ref count_in_hyp",
        "B   0 3 2 1",
        "X   0 2 0 2",
        "D   0 1 1 0",
        "A   2 0 2 2",
        "C   1 0 1 1",
        "E   1 0 1 1",
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_per_word_counts_are_those_of_the_texts(pairs):
    stats = WordStats()
    for reference, hypothesis in pairs:
        stats.add(align_words(reference, hypothesis))
    said = Counter(word for reference, _ in pairs for word in reference.split())
    heard = Counter(word for _, hypothesis in pairs for word in hypothesis.split())
    lines = [line.split() for line in stats.word_lines()]
    assert {word: int(in_reference) for word, _, _, in_reference, _ in lines if int(in_reference)} == said
    assert {word: int(in_hypothesis) for word, _, _, _, in_hypothesis in lines if int(in_hypothesis)} == heard
    for _, hits, errors, in_reference, in_hypothesis in lines:
        assert 2 * int(hits) + int(errors) == int(in_reference) + int(in_hypothesis)


def test_the_order_of_arguments_leaves_no_trace(tmp_path):
    write_error_stats(tmp_path / "one.txt", scored(REFERENCES, HYPOTHESES))
    in_order, reverse = dict(sorted(REFERENCES.items())), dict(reversed(HYPOTHESES.items()))
    write_error_stats(tmp_path / "two.txt", scored(in_order, reverse))
    assert (tmp_path / "one.txt").read_bytes() == (tmp_path / "two.txt").read_bytes()


def test_each_alignment_is_named_and_has_its_own_errors(tmp_path):
    """Two substitutions are two errors, and so are a deletion and an insertion, which cost sclite less."""
    for alignment, line in (("levenshtein", "u:\t(A B->B C)"), ("sclite", "u:\t(A->*) B (*->C)")):
        write_error_stats(tmp_path / alignment, scored({"u": "A B"}, {"u": "B C"}, alignment))
        lines = (tmp_path / alignment).read_text().splitlines()
        assert f"Alignment: {alignment}" in lines
        assert line in lines


@pytest.mark.parametrize("references", [{}, {"utt1": ""}])
def test_references_without_words_are_refused_and_leave_no_file(tmp_path, references):
    with pytest.raises(AsrkdError, match="nothing to score|references are empty"):
        write_error_stats(tmp_path / "errs.txt", scored(references, dict(references)))
    assert not list(tmp_path.iterdir())
