"""Which words of a reference and a hypothesis belong together: for counts, and for people to read.

``levenshtein`` makes the fewest errors, as jiwer and Kaldi do; ``sclite`` is NIST's.
"""

from collections.abc import Callable, Iterator, Sequence

from asrkd.core.errors import AsrkdError
from asrkd.scoring.edits import DELETION, INSERTION, levenshtein_edits
from asrkd.scoring.sclite_edits import Pair, sclite_edits
from asrkd.scoring.units import WORD, Unit, units

LEVENSHTEIN = "levenshtein"
NO_WORD = "*"  # stands opposite an inserted or deleted word, as in icefall's and Kaldi's files

# A reference word and a hypothesis word; one of them is None where the other was deleted or inserted.
WordPair = tuple[str | None, str | None]


def _levenshtein(pairs: Sequence[Pair]) -> list[str]:
    return [levenshtein_edits(*pair) for pair in pairs]


ALIGNMENTS: dict[str, Callable[[Sequence[Pair]], list[str]]] = {
    LEVENSHTEIN: _levenshtein,
    "sclite": sclite_edits,
}


def check_alignment(name: str) -> None:
    """Raise AsrkdError unless there is an alignment of that name."""
    if name not in ALIGNMENTS:
        raise AsrkdError(f"--alignment {name}: expected one of {', '.join(ALIGNMENTS)}")


def align_many(pairs: Sequence[Pair], alignment: str = LEVENSHTEIN) -> list[str]:
    """The edits (:mod:`asrkd.scoring.edits`) of each pair of words; quicker than one after the other.

    ``sclite-D`` and the like (:data:`asrkd.scoring.nist_rules.COSTS`) are sclite where no word is marked.
    """
    return ALIGNMENTS[alignment.partition("-")[0]](pairs)


def align_words(
    reference: str, hypothesis: str, alignment: str = LEVENSHTEIN, unit: Unit = WORD
) -> list[WordPair]:
    """The aligned words, or other units, left to right; the same alignment that the counts are from."""
    said, heard = units(reference, unit), units(hypothesis, unit)
    (edits,) = align_many([(said, heard)], alignment)
    return word_pairs(said, heard, edits)


def word_pairs(reference: Sequence[str], hypothesis: Sequence[str], edits: str) -> list[WordPair]:
    """The words that ``edits`` puts opposite each other."""
    said, heard = iter(reference), iter(hypothesis)
    return [
        (None if edit == INSERTION else next(said), None if edit == DELETION else next(heard))
        for edit in edits
    ]


def inline(pairs: list[WordPair]) -> str:
    """The reference with its errors as ``(REF->HYP)`` in place.

    Neighboring errors share one bracket: ``(A B->C)``; nothing is ``*``.
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
