"""An alignment as a string of edits: a letter for each step from the left to the right of both texts.

The letters say what became of the reference: ``=`` right, ``S`` substituted,
``D`` deleted, ``I`` inserted. Their numbers are the counts; with the words
of both texts they say which word stands opposite which.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from asrkd.scoring.significance.matched_pairs import ErrorMap

HIT, SUBSTITUTION, DELETION, INSERTION = "=SDI"
_END = "$"  # of an utterance, among edits
_LETTERS = {"equal": HIT, "replace": SUBSTITUTION, "delete": DELETION, "insert": INSERTION}


def levenshtein_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """Edits of the least number of errors; among several such alignments the one that jiwer takes.

    Args:
        reference: words, or a text whose characters are compared.
        hypothesis: likewise.
    """
    if reference == hypothesis:
        return HIT * len(reference)
    if isinstance(reference, str):
        opcodes = Levenshtein.opcodes(reference, hypothesis)
    else:  # of words rapidfuzz would compare hashes
        numbers: dict[str, int] = {}
        said = [numbers.setdefault(word, len(numbers)) for word in reference]
        heard = [numbers.setdefault(word, len(numbers)) for word in hypothesis]
        opcodes = Levenshtein.opcodes(said, heard)
    return "".join(
        _LETTERS[code.tag] * max(code.src_end - code.src_start, code.dest_end - code.dest_start)
        for code in opcodes
    )


def levenshtein_distances(reference: Sequence[str], hypotheses: Sequence[Sequence[str]]) -> list[int]:
    """The least number of errors of each of some hypotheses in words, without its edits: in half the time."""
    numbers: dict[str, int] = {}
    said, *heard = (
        [numbers.setdefault(word, len(numbers)) for word in words] for words in (reference, *hypotheses)
    )
    return [Levenshtein.distance(said, own) for own in heard]


def error_map(edits: Iterable[str]) -> ErrorMap:
    """Gather the edits (:mod:`asrkd.scoring.edits`) of all utterances, in one order for all systems."""
    letters = np.frombuffer("".join(each + _END for each in edits).encode("ascii"), np.uint8)
    slots = np.flatnonzero(letters != ord(INSERTION))
    letter = letters[slots]
    return ErrorMap(
        wrong=(letter == ord(SUBSTITUTION)) | (letter == ord(DELETION)),
        inserted=np.diff(slots, prepend=-1) - 1,
        ends=letter == ord(_END),
    )
