"""Word alignment as in NIST's sclite: a substitution costs 4, an insertion or a deletion 3.

These costs tie: three substitutions cost as much as two deletions and two insertions, so how sclite breaks
ties decides the counts. At each pair of words it prefers, among the cheapest steps, the two words together;
then the deletion, if it costs less than the insertion; then the insertion. The alignment is traced back along
these choices from the end of both texts. tests/scoring/test_sclite.py compares words and counts with sclite.

By hand because no Python library breaks ties as sclite does, and sclite itself is a program that has to be
compiled.

Notation: B texts, which are aligned together; N and M words of the longest reference and hypothesis.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from asrkd.scoring.edits import DELETION, HIT, INSERTION, SUBSTITUTION

SUBSTITUTION_COST = 4
GAP_COST = 3  # cost of an insertion or a deletion

# Cells of the table of choices of a batch, one byte each.
CELLS = 1 << 19

_NONE, _HIT, _SUB, _DEL, _INS = range(5)
_LETTERS = np.frombuffer(f"\0{HIT}{SUBSTITUTION}{DELETION}{INSERTION}".encode(), dtype=np.uint8)
_OF_REFERENCE = np.array([0, 1, 1, 1, 0])  # words of the reference in each step
_OF_HYPOTHESIS = np.array([0, 1, 1, 0, 1])

Pair = tuple[Sequence[str], Sequence[str]]  # words of a reference and of a hypothesis


def sclite_edits(pairs: Sequence[Pair]) -> list[str]:
    """Align many pairs of texts; returns the edits (:mod:`asrkd.scoring.edits`) of each."""
    edits = [""] * len(pairs)
    numbers: dict[str, int] = {}
    left: list[tuple[int, list[int], list[int]]] = []  # index of the pair, and its words still to be aligned
    for place, (reference, hypothesis) in enumerate(pairs):
        same = _common_end(reference, hypothesis)
        edits[place] = HIT * same
        rest = reference[: len(reference) - same], hypothesis[: len(hypothesis) - same]
        if rest[0] or rest[1]:
            reference_ids, hypothesis_ids = (
                [numbers.setdefault(word, len(numbers)) for word in text] for text in rest
            )
            left.append((place, reference_ids, hypothesis_ids))
    left.sort(key=lambda item: max(len(item[1]), len(item[2])))
    for batch in _batches(left):
        aligned = _align([words for _, words, _ in batch], [words for _, _, words in batch])
        for (place, _, _), before in zip(batch, aligned, strict=True):
            edits[place] = before + edits[place]
    return edits


def _common_end(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Count the equal last words, which sclite always aligns. (Equal first words it may not.)"""
    if reference == hypothesis:
        return len(reference)
    count = 0
    for first, second in zip(reversed(reference), reversed(hypothesis), strict=False):
        if first != second:
            break
        count += 1
    return count


def _batches(
    items: Sequence[tuple[int, list[int], list[int]]],
) -> Iterator[list[tuple[int, list[int], list[int]]]]:
    """Group neighbors into batches whose table has at most CELLS cells; at least one pair a batch."""
    batch: list[tuple[int, list[int], list[int]]] = []
    rows = columns = 1
    for item in items:
        rows, columns = max(rows, len(item[1]) + 1), max(columns, len(item[2]) + 1)
        if batch and (len(batch) + 1) * rows * columns > CELLS:
            yield batch
            batch, rows, columns = [], len(item[1]) + 1, len(item[2]) + 1
        batch.append(item)
    if batch:
        yield batch


def _align(references: Sequence[list[int]], hypotheses: Sequence[list[int]]) -> list[str]:
    """Return the edits of each pair of texts, given as numbers of words."""
    choices = _choices(_padded(references, -1), _padded(hypotheses, -2))
    at_reference = np.array([len(words) for words in references])
    at_hypothesis = np.array([len(words) for words in hypotheses])
    texts = np.arange(len(references))
    steps = []
    while (at_reference + at_hypothesis).any():
        step = choices[at_reference, texts, at_hypothesis]  # (B,)
        steps.append(step)
        at_reference -= _OF_REFERENCE[step]
        at_hypothesis -= _OF_HYPOTHESIS[step]
    letters = _LETTERS[np.stack(steps[::-1], axis=1)]  # (B, steps) left to right, zeros before shorter ones
    return [row.tobytes().lstrip(b"\0").decode() for row in letters]


def _choices(reference: NDArray[np.int64], hypothesis: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Compute the step by which sclite reaches each pair of positions.

    Args:
        reference: (B, N) numbers of words, padded with numbers of no word.
        hypothesis: (B, M) numbers of words, padded likewise.

    Returns:
        (N + 1, B, M + 1) steps.
    """
    (size, num_rows), num_columns = reference.shape, hypothesis.shape[1]
    choices = np.empty((num_rows + 1, size, num_columns + 1), dtype=np.uint8)
    choices[0], choices[1:, :, 0] = _INS, _DEL
    choices[0, :, 0] = _NONE
    insertions = GAP_COST * np.arange(num_columns + 1, dtype=np.int32)  # cost of that many insertions
    costs = np.broadcast_to(insertions, (size, num_columns + 1))
    for row in range(num_rows):
        equal = reference[:, row, None] == hypothesis  # (B, M)
        together = costs[:, :-1] + np.where(equal, 0, SUBSTITUTION_COST).astype(np.int32)
        deleted = costs + GAP_COST  # (B, M + 1)
        best = deleted.copy()
        np.minimum(best[:, 1:], together, out=best[:, 1:])
        # A cell may also be reached by insertions from any cell left of it.
        costs = np.minimum.accumulate(best - insertions, axis=1) + insertions
        inserted, deleted = costs[:, :-1] + GAP_COST, deleted[:, 1:]
        gap = np.where(deleted < inserted, _DEL, _INS)
        pair = np.where(equal, _HIT, _SUB)
        choices[row + 1, :, 1:] = np.where(together <= np.minimum(deleted, inserted), pair, gap)
    return choices


def _padded(texts: Sequence[list[int]], filler: int) -> NDArray[np.int64]:
    """Pad to (B, longest) with ``filler``."""
    array = np.full((len(texts), max(map(len, texts))), filler, dtype=np.int64)
    for row, words in zip(array, texts, strict=True):
        row[: len(words)] = words
    return array
