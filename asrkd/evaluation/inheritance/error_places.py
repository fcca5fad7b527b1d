"""Where a system errs: its alignment to the reference, as errors that can be compared between systems.

A reference of R words has R places that are words, where a word can be
substituted or deleted, and R + 1 that are gaps (before each word, and behind
the last), where words can be inserted. Two systems make the same error if
they hear the same word, or none, at the same place.

Where an alignment has ties (``A A`` heard as ``A``), the place is that of the
alignment that the counts are from; the same hypothesis always gives the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from asrkd.scoring.word_alignment import WordPair


class Place(NamedTuple):
    """A word of the reference, or the gap before it."""

    position: int  # of the word, 0-based; of the last gap the number of words
    is_gap: bool


class WordError(NamedTuple):
    """An error that another system may make as well."""

    place: Place
    heard: str | None  # None: the word was deleted
    repeat: int  # how many equal words the system inserted in this gap before; 0 at a word


@dataclass(frozen=True)
class Aligned:
    """What a system heard, laid along the reference."""

    words: tuple[str, ...]  # of the reference
    heard: tuple[str | None, ...]  # at each of them; None: deleted
    inserted: tuple[tuple[str, ...], ...]  # in each gap, one more than words

    @cached_property
    def errors(self) -> list[WordError]:
        """Its errors, left to right and each once: as many as its substitutions, deletions, insertions."""
        found = []
        for index, inserted in enumerate(self.inserted):
            before: Counter[str] = Counter()
            for word in inserted:
                found.append(WordError(Place(index, True), word, before[word]))
                before[word] += 1
            if index < len(self.words) and self.heard[index] != self.words[index]:
                found.append(WordError(Place(index, False), self.heard[index], 0))
        return found

    def said(self, place: Place) -> str | None:
        """The word of the reference at a place; None in a gap."""
        return None if place.is_gap else self.words[place.position]


def lay_along(pairs: Sequence[WordPair]) -> Aligned:
    """The pairs of an alignment (see :func:`asrkd.scoring.word_alignment.align_words`) by place."""
    words: list[str] = []
    heard: list[str | None] = []
    inserted: list[list[str]] = [[]]
    for reference, hypothesis in pairs:
        if reference is not None:
            words.append(reference)
            heard.append(hypothesis)
            inserted.append([])
        elif hypothesis is not None:
            inserted[-1].append(hypothesis)
    return Aligned(tuple(words), tuple(heard), tuple(map(tuple, inserted)))
