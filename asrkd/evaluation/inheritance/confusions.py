"""Confusions, a word said and the word heard for it, and those that a teacher passes on."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from asrkd.evaluation.inheritance.error_places import Aligned


class Confusion(NamedTuple):
    """What was said and what was heard; said None is an insertion, heard None a deletion."""

    said: str | None
    heard: str | None


@dataclass(frozen=True)
class PassedOn:
    """A confusion of the teacher's that the student makes more often than the baseline."""

    confusion: Confusion
    teacher: int  # times
    baseline: int
    student: int


def confusions(aligned: Iterable[Aligned]) -> Counter[Confusion]:
    """How often each confusion occurs; the counts sum to the errors."""
    return Counter(Confusion(one.said(error.place), error.heard) for one in aligned for error in one.errors)


def passed_on(
    teacher: Mapping[Confusion, int], baseline: Mapping[Confusion, int], student: Mapping[Confusion, int]
) -> list[PassedOn]:
    """The teacher's confusions that the student makes more often than the baseline, worst first.

    Worst is by how much more often than the baseline, then by how often, then by the words.
    """
    found = [
        PassedOn(confusion, times, baseline.get(confusion, 0), student.get(confusion, 0))
        for confusion, times in teacher.items()
        if student.get(confusion, 0) > baseline.get(confusion, 0)
    ]
    return sorted(found, key=_worst_first)


def _worst_first(one: PassedOn) -> tuple[int, int, str, str]:
    said, heard = one.confusion
    return one.baseline - one.student, -one.student, said or "", heard or ""
