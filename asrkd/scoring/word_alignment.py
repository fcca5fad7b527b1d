"""Which words of a reference and a hypothesis belong together, for people to read."""

from collections.abc import Iterator

import jiwer

from asrkd.scoring.counts import one_spaced

NO_WORD = "*"  # stands opposite an inserted or deleted word, as in icefall's and Kaldi's files

# A reference word and a hypothesis word; one of them is None where the other was deleted or inserted.
WordPair = tuple[str | None, str | None]


def align_words(reference: str, hypothesis: str) -> list[WordPair]:
    """The pairs of a Levenshtein alignment, left to right; the same one that the counts are from."""
    output = jiwer.process_words(one_spaced(reference), one_spaced(hypothesis))
    reference_words, hypothesis_words = reference.split(), hypothesis.split()
    pairs: list[WordPair] = []
    for chunk in output.alignments[0]:
        of_reference: list[str | None] = [*reference_words[chunk.ref_start_idx : chunk.ref_end_idx]]
        of_hypothesis: list[str | None] = [*hypothesis_words[chunk.hyp_start_idx : chunk.hyp_end_idx]]
        # Chunks are of one kind each: equally long on both sides, or empty on one.
        length = max(len(of_reference), len(of_hypothesis))
        of_reference += [None] * (length - len(of_reference))
        of_hypothesis += [None] * (length - len(of_hypothesis))
        pairs += zip(of_reference, of_hypothesis, strict=True)
    return pairs


def inline(pairs: list[WordPair]) -> str:
    """The reference with its errors as ``(REF->HYP)`` in place.

    Neighbouring errors share one bracket: ``(A B->C)``; nothing is ``*``.
    """
    return " ".join(_pieces(pairs))


def _pieces(pairs: list[WordPair]) -> Iterator[str]:
    wrong: list[WordPair] = []
    for reference, hypothesis in pairs:
        if reference is None or reference != hypothesis:
            wrong.append((reference, hypothesis))
            continue
        if wrong:
            yield _bracket(wrong)
            wrong = []
        yield reference
    if wrong:
        yield _bracket(wrong)


def _bracket(wrong: list[WordPair]) -> str:
    said = " ".join(reference for reference, _ in wrong if reference is not None)
    heard = " ".join(hypothesis for _, hypothesis in wrong if hypothesis is not None)
    return f"({said or NO_WORD}->{heard or NO_WORD})"
