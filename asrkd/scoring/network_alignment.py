"""Alignment of word networks as in NIST's sclite: the cheapest path through both, with sclite's ties.

A substitution costs 4, an insertion or a deletion 3, one of no word (``@``) 0.001. sclite sums these in
single precision, which decides some ties, and so does this module. At each pair of arcs it prefers, among the
cheapest steps, the two words together; then the deletion, if it costs less than the insertion; then the
insertion; and of several preceding arcs the first. tests/scoring/test_nist_sclite.py compares counts with
sclite.

Source: SCTK 2.4, ``src/sclite/net_dp.c`` and ``word.c``. Two of its options are supported:

``-D``  a word in round brackets, ``(uh)``, is optional: leaving it out (or, in a hypothesis, adding it) costs
        2 and counts as correct; otherwise it is the word without its brackets;
``-F``  a fragment, ``a-`` or ``-b``, is correct if the other word begins or ends with it.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from asrkd.core.errors import AsrkdError
from asrkd.scoring.edits import DELETION, HIT, INSERTION, SUBSTITUTION
from asrkd.scoring.word_network import NO_WORD, Network

# Edits besides the four: an optional word of the reference was left out, or one of the hypothesis added.
LEFT_OUT, ADDED = "oa"

MOST_CELLS = 100_000_000  # cells of 12 bytes each

_NULL_COST = float(np.float32(0.001))
_IMPOSSIBLE = 1e6

# An arc of the reference and one of the hypothesis, 0 for none, and their edit.
AlignmentStep = tuple[int, int, str]


@dataclass(frozen=True)
class AlignmentCosts:
    """Costs of edits that an alignment minimizes, and which words are equal."""

    substitution: float = 4.0
    gap: float = 3.0
    null_for_word: float = 4.0  # no word (@) of one network opposite a word of the other
    optional: bool = False  # sclite's -D
    fragments: bool = False  # sclite's -F

    def of_gap(self, word: str) -> float:
        """Cost of inserting or deleting a word."""
        if word == NO_WORD:
            return _NULL_COST
        return 2.0 if self.is_optional(word) else self.gap

    def of_pair(self, reference: str, hypothesis: str) -> float:
        """Cost of aligning two words."""
        if NO_WORD in (reference, hypothesis):
            return 1.0 if reference == hypothesis else self.null_for_word
        return 0.0 if self.are_equal(reference, hypothesis) else self.substitution

    def are_equal(self, reference: str, hypothesis: str) -> bool:
        """Whether the word of the hypothesis is correct."""
        first, second = self.without_brackets(reference), self.without_brackets(hypothesis)
        if self.fragments and self._is_fragment(reference, hypothesis):
            for fragment, word in ((first, second), (second, first)):
                size = len(fragment) - 1
                if size and fragment.startswith("-"):
                    return word[-size:] == fragment[1:]
                if size and fragment.endswith("-"):
                    return word[:size] == fragment[:-1]
        return first == second

    def without_brackets(self, word: str) -> str:
        """Return an optional word without its brackets, and any other word unchanged."""
        return word[1:-1] if self.is_optional(word) else word

    def is_optional(self, word: str) -> bool:
        """Whether a word may be left out."""
        return self.optional and len(word) > 1 and word.startswith("(") and word.endswith(")")

    def _is_fragment(self, *words: str) -> bool:
        """Whether one of the words is a fragment; of an optional word sclite checks only the end."""
        return any(
            word[0] == "-" or word[-1] == "-" or self.without_brackets(word)[-1:] == "-" for word in words
        )


SCLITE = AlignmentCosts()
FEWEST_ERRORS = AlignmentCosts(substitution=1.0, gap=1.0, null_for_word=_IMPOSSIBLE)


def align_networks(
    reference: Network, hypothesis: Network, costs: AlignmentCosts = SCLITE
) -> list[AlignmentStep]:
    """Find the cheapest path through both networks, left to right, without the steps over no word.

    Raises:
        AsrkdError: more than :data:`MOST_CELLS` pairs of arcs, which would take minutes and gigabytes.
    """
    if len(reference.words) * len(hypothesis.words) > MOST_CELLS:
        raise AsrkdError(
            f"{len(reference.words)} words with alternatives against {len(hypothesis.words)}: "
            "too many to align; divide the segment"
        )
    table = _Table(reference, hypothesis, costs)
    here = _first_least(table.cells, reference.ends, hypothesis.ends)
    steps = []
    while here != (0, 0):
        before = divmod(table.back[here[0]][here[1]], len(hypothesis.words))
        step = _step(here, before, reference, hypothesis, costs)
        if step is not None:
            steps.append(step)
        here = before
    return steps[::-1]


def _step(
    here: tuple[int, int],
    before: tuple[int, int],
    reference: Network,
    hypothesis: Network,
    costs: AlignmentCosts,
) -> AlignmentStep | None:
    """Return the step to a pair of arcs; None if it has no words."""
    first, second = (
        arc if arc != earlier and network.words[arc] != NO_WORD else 0
        for arc, earlier, network in zip(here, before, (reference, hypothesis), strict=True)
    )
    if not first and not second:
        return None
    reference_word, hypothesis_word = reference.words[first], hypothesis.words[second]
    if not second:
        return first, 0, LEFT_OUT if costs.is_optional(reference_word) else DELETION
    if not first:
        return 0, second, ADDED if costs.is_optional(hypothesis_word) else INSERTION
    return first, second, HIT if costs.are_equal(reference_word, hypothesis_word) else SUBSTITUTION


class _Table:
    """The cost of the cheapest path to each pair of arcs, and the pair before it on that path."""

    def __init__(self, reference: Network, hypothesis: Network, costs: AlignmentCosts) -> None:
        self.cells: list[array[float]] = []
        self.back: list[array[int]] = []  # the pair before, as row * columns + column
        self._columns = hypothesis.before
        self._gaps = [costs.of_gap(word) for word in hypothesis.words]
        of_pair = lru_cache(maxsize=None)(costs.of_pair)
        for arc, word in enumerate(reference.words):
            pairs = [of_pair(word, other) for other in hypothesis.words]
            self._add_row(reference.before[arc], costs.of_gap(word), pairs)

    def _add_row(self, rows: Sequence[int], gap: float, pairs: Sequence[float]) -> None:
        """Add the cells of an arc of the reference from the arcs before it and the costs of its word."""
        number, row, ways = len(self.cells), array("f"), array("q")
        self.cells.append(row)
        self.back.append(ways)
        one_row = len(rows) == 1
        for column, columns in enumerate(self._columns):
            best, way = (_IMPOSSIBLE, (-1, -1)) if number or column else (0.0, (-1, -1))
            one_column = len(columns) == 1
            if column:  # the word of the hypothesis inserted
                way = (number, columns[0]) if one_column else _first_least(self.cells, [number], columns)
                best = _add(row[way[1]], self._gaps[column])
            if number:
                above = (rows[0], column) if one_row else _first_least(self.cells, rows, [column])
                deleted = _add(self.cells[above[0]][column], gap)
                if deleted < best:
                    best, way = deleted, above
            if number and column:
                plain = one_row and one_column
                corner = (rows[0], columns[0]) if plain else _first_least(self.cells, rows, columns)
                together = _add(self.cells[corner[0]][corner[1]], pairs[column])
                if together <= best:
                    best, way = together, corner
            row.append(best)
            ways.append(way[0] * len(self._columns) + way[1])


def _first_least(
    cells: Sequence[Sequence[float]], rows: Sequence[int], columns: Sequence[int]
) -> tuple[int, int]:
    """Return the first of the cheapest cells, row by row."""
    pairs = [(row, column) for row in rows for column in columns]
    return min(pairs, key=lambda pair: cells[pair[0]][pair[1]])


def _add(first: float, second: float) -> float:
    """Add two single-precision numbers in single precision."""
    total = first + second
    return total if total.is_integer() else _single(total)


@lru_cache(maxsize=1 << 16)
def _single(number: float) -> float:
    return float(np.float32(number))
