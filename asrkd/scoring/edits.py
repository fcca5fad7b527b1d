"""Edits: an alignment of a reference and a hypothesis as a string, one letter a step from left to right.

The letters are ``=`` correct, ``S`` substituted, ``D`` deleted and ``I`` inserted. How often each occurs
gives the counts of a score; together with the words of both texts they give the pairs of aligned words.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from asrkd.scoring.significance.matched_pairs import ErrorMap

HIT, SUBSTITUTION, DELETION, INSERTION = "=SDI"
_END = "$"  # end of an utterance, among edits
_LETTERS = {"equal": HIT, "replace": SUBSTITUTION, "delete": DELETION, "insert": INSERTION}


def levenshtein_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """Align with the fewest errors; among several such alignments, return the one that jiwer returns.

    Args:
        reference: words of the reference, or a text whose characters are compared.
        hypothesis: words or text of the hypothesis.
    """
    if reference == hypothesis:
        return HIT * len(reference)
    if isinstance(reference, str):
        opcodes = Levenshtein.opcodes(reference, hypothesis)
    else:  # rapidfuzz compares strings in a list by their hashes, which may collide; numbers cannot
        numbers: dict[str, int] = {}
        reference_ids = [numbers.setdefault(word, len(numbers)) for word in reference]
        hypothesis_ids = [numbers.setdefault(word, len(numbers)) for word in hypothesis]
        opcodes = Levenshtein.opcodes(reference_ids, hypothesis_ids)
    return "".join(
        _LETTERS[code.tag] * max(code.src_end - code.src_start, code.dest_end - code.dest_start)
        for code in opcodes
    )


def levenshtein_distances(reference: Sequence[str], hypotheses: Sequence[Sequence[str]]) -> list[int]:
    """Count the fewest errors of each hypothesis, without edits: faster than :func:`levenshtein_edits`.

    Args:
        reference: words.
        hypotheses: words of each hypothesis.
    """
    numbers: dict[str, int] = {}
    reference_ids, *hypothesis_ids = (
        [numbers.setdefault(word, len(numbers)) for word in words] for words in (reference, *hypotheses)
    )
    return [Levenshtein.distance(reference_ids, word_ids) for word_ids in hypothesis_ids]


def error_map(edits: Iterable[str]) -> ErrorMap:
    """Gather the edits of all utterances; every system's must be in the same order of utterances."""
    letters = np.frombuffer("".join(of_utterance + _END for of_utterance in edits).encode("ascii"), np.uint8)
    slots = np.flatnonzero(letters != ord(INSERTION))
    letter = letters[slots]
    return ErrorMap(
        wrong=(letter == ord(SUBSTITUTION)) | (letter == ord(DELETION)),
        inserted=np.diff(slots, prepend=-1) - 1,
        ends=letter == ord(_END),
    )
