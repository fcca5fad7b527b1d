"""Word alignments of references and hypotheses, for counts and in human-readable form.

``levenshtein`` has the fewest errors, as in jiwer and Kaldi; ``sclite`` is NIST's alignment.
"""

from collections.abc import Callable, Iterator, Sequence

from asrkd.core.errors import AsrkdError
from asrkd.scoring.edits import DELETION, INSERTION, levenshtein_edits
from asrkd.scoring.sclite_edits import Pair, sclite_edits
from asrkd.scoring.units import WORD, Unit, units

LEVENSHTEIN = "levenshtein"
NO_WORD = "*"  # opposite an inserted or deleted word, as in icefall's and Kaldi's files

# A reference word and a hypothesis word; None opposite an insertion or a deletion.
WordPair = tuple[str | None, str | None]


def _levenshtein(pairs: Sequence[Pair]) -> list[str]:
    return [levenshtein_edits(*pair) for pair in pairs]


ALIGNMENTS: dict[str, Callable[[Sequence[Pair]], list[str]]] = {
    LEVENSHTEIN: _levenshtein,
    "sclite": sclite_edits,
}


def check_alignment(name: str) -> None:
    """Check the name of an alignment; AsrkdError if it is unknown."""
    if name not in ALIGNMENTS:
        raise AsrkdError(f"--alignment {name}: expected one of {', '.join(ALIGNMENTS)}")


def align_many(pairs: Sequence[Pair], alignment: str = LEVENSHTEIN) -> list[str]:
    """Align many texts at once; returns the edits (:mod:`asrkd.scoring.edits`) of each pair.

    The other alignments of :data:`asrkd.scoring.nist_rules.COSTS`, such as ``sclite-D``, equal ``sclite``
    here: they differ only in marked words.
    """
    return ALIGNMENTS[alignment.partition("-")[0]](pairs)


def align_words(
    reference: str, hypothesis: str, alignment: str = LEVENSHTEIN, unit: Unit = WORD
) -> list[WordPair]:
    """Align the words, or other units, of two texts, left to right, as for the counts of a score."""
    pair = units(reference, unit), units(hypothesis, unit)
    (edits,) = align_many([pair], alignment)
    return word_pairs(*pair, edits)


def word_pairs(reference: Sequence[str], hypothesis: Sequence[str], edits: str) -> list[WordPair]:
    """Pair the words that ``edits`` aligns."""
    references, hypotheses = iter(reference), iter(hypothesis)
    return [
        (None if edit == INSERTION else next(references), None if edit == DELETION else next(hypotheses))
        for edit in edits
    ]


def inline(pairs: list[WordPair]) -> str:
    """Format the reference with its errors in place as ``(REF->HYP)``.

    Neighboring errors share one bracket: ``(A B->C)``; a missing side is ``*``.
    """
    return " ".join(_inline_parts(pairs))


def _inline_parts(pairs: list[WordPair]) -> Iterator[str]:
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
    references = " ".join(reference for reference, _ in wrong if reference is not None)
    hypotheses = " ".join(hypothesis for _, hypothesis in wrong if hypothesis is not None)
    return f"({references or NO_WORD}->{hypotheses or NO_WORD})"
