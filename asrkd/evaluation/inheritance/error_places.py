"""Error places: a hypothesis aligned to its reference, as errors and confusions that systems can share.

A reference of R words has R word places, where a word can be substituted or deleted, and R + 1 gaps (before
each word, and after the last), where words can be inserted. Two systems make the same error if they have the
same wrong word, or none, at the same place.

If an alignment has ties (reference ``A A``, hypothesis ``A``), the place is that of the alignment used for
the counts; equal hypotheses always give equal places.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from asrkd.scoring.word_alignment import WordPair


class ErrorPlace(NamedTuple):
    """A word of the reference, or the gap before it."""

    position: int  # of the word, from 0; of the last gap the number of words
    is_gap: bool


class WordError(NamedTuple):
    """An error that another system may make as well."""

    place: ErrorPlace
    hypothesis: str | None  # the wrong word; None: the word of the reference was deleted
    repeat: int  # number of equal words inserted before in the same gap; 0 at a word


@dataclass(frozen=True)
class AlignedHypothesis:
    """A hypothesis of R words and insertions, by place of the reference."""

    words: tuple[str, ...]  # (R,) of the reference
    hypothesis: tuple[str | None, ...]  # (R,) at each of them; None: deleted
    inserted: tuple[tuple[str, ...], ...]  # (R + 1,) words in each gap

    @cached_property
    def errors(self) -> list[WordError]:
        """The errors, left to right, each once: as many as substitutions, deletions and insertions."""
        errors = []
        for index, inserted in enumerate(self.inserted):
            before: Counter[str] = Counter()
            for word in inserted:
                errors.append(WordError(ErrorPlace(index, True), word, before[word]))
                before[word] += 1
            if index < len(self.words) and self.hypothesis[index] != self.words[index]:
                errors.append(WordError(ErrorPlace(index, False), self.hypothesis[index], 0))
        return errors

    def reference_word(self, place: ErrorPlace) -> str | None:
        """Return the word of the reference at a place; None in a gap."""
        return None if place.is_gap else self.words[place.position]


def by_place(pairs: Sequence[WordPair]) -> AlignedHypothesis:
    """Arrange the word pairs of an alignment (:func:`asrkd.scoring.word_alignment.align_words`) by place."""
    words: list[str] = []
    at_words: list[str | None] = []
    inserted: list[list[str]] = [[]]
    for reference, hypothesis in pairs:
        if reference is not None:
            words.append(reference)
            at_words.append(hypothesis)
            inserted.append([])
        elif hypothesis is not None:
            inserted[-1].append(hypothesis)
    return AlignedHypothesis(tuple(words), tuple(at_words), tuple(map(tuple, inserted)))


class Confusion(NamedTuple):
    """A word of the reference and the wrong word of a hypothesis; None for an insertion or a deletion."""

    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class InheritedConfusion:
    """A confusion of the teacher that the student makes more often than the baseline, with counts of each."""

    confusion: Confusion
    teacher: int
    baseline: int
    student: int


def confusions(utterances: Iterable[AlignedHypothesis]) -> Counter[Confusion]:
    """Count confusions; the counts sum to the number of errors."""
    return Counter(
        Confusion(aligned.reference_word(error.place), error.hypothesis)
        for aligned in utterances
        for error in aligned.errors
    )


def inherited_confusions(
    teacher: Mapping[Confusion, int], baseline: Mapping[Confusion, int], student: Mapping[Confusion, int]
) -> list[InheritedConfusion]:
    """List the teacher's confusions that the student makes more often than the baseline, worst first.

    The order is by the difference from the baseline, then by the student's count, then by the words.
    """
    inherited = [
        InheritedConfusion(confusion, count, baseline.get(confusion, 0), student.get(confusion, 0))
        for confusion, count in teacher.items()
        if student.get(confusion, 0) > baseline.get(confusion, 0)
    ]
    return sorted(inherited, key=_worst_first)


def _worst_first(inherited: InheritedConfusion) -> tuple[int, int, str, str]:
    reference, hypothesis = inherited.confusion
    return inherited.baseline - inherited.student, -inherited.student, reference or "", hypothesis or ""
