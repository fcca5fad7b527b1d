"""What became of errors between a baseline, its teacher and a student trained with the teacher.

All three are aligned to the same reference; an error is a wrong word, or
none, at a place (see :mod:`asrkd.evaluation.inheritance.error_places`). Each system's errors
fall into classes that are disjoint and leave nothing out:

========== ======= ======== ======= ===========================================
class      teacher baseline student
========== ======= ======== ======= ===========================================
shared     yes     yes      yes
inherited  yes     no       yes     word for word the teacher's
kept       no      yes      yes     the teacher did not mend it
changed    no      no       yes     where the baseline errs in another way
new        no      no       yes     where the baseline is right
mended     any     yes      no      the student is right there
replaced   any     yes      no      the student errs there in another way
shed       yes     yes      no      the teacher's, of the baseline's own accord
avoided    yes     no       no      the teacher's alone
========== ======= ======== ======= ===========================================

So the student's errors are shared + inherited + kept + changed + new, the
baseline's shared + kept + mended + replaced, the teacher's shared + inherited
+ shed + avoided. ``shed`` is what ``inherited`` is to be held against: were
the student but another baseline, the two would be about equally many.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum

from asrkd.evaluation.inheritance.error_places import WordError


class ErrorClass(str, Enum):
    """The classes of the table above."""

    SHARED = "shared"
    INHERITED = "inherited"
    KEPT = "kept"
    CHANGED = "changed"
    NEW = "new"
    MENDED = "mended"
    REPLACED = "replaced"
    SHED = "shed"
    AVOIDED = "avoided"


STUDENT = (ErrorClass.SHARED, ErrorClass.INHERITED, ErrorClass.KEPT, ErrorClass.CHANGED, ErrorClass.NEW)
BASELINE = (ErrorClass.SHARED, ErrorClass.KEPT, ErrorClass.MENDED, ErrorClass.REPLACED)
TEACHER = (ErrorClass.SHARED, ErrorClass.INHERITED, ErrorClass.SHED, ErrorClass.AVOIDED)


@dataclass(frozen=True)
class Fates:
    """The class of every error of one utterance, by system."""

    teacher: dict[WordError, ErrorClass]
    baseline: dict[WordError, ErrorClass]
    student: dict[WordError, ErrorClass]


def fates(
    teacher: Collection[WordError], baseline: Collection[WordError], student: Collection[WordError]
) -> Fates:
    """Class the errors of three systems on one utterance; no collection holds an error twice."""
    of_teacher, of_baseline, of_student = set(teacher), set(baseline), set(student)
    baseline_errs = {error.place for error in of_baseline}
    student_errs = {error.place for error in of_student}

    def student_fate(error: WordError) -> ErrorClass:
        if error in of_teacher:
            return ErrorClass.SHARED if error in of_baseline else ErrorClass.INHERITED
        if error in of_baseline:
            return ErrorClass.KEPT
        return ErrorClass.CHANGED if error.place in baseline_errs else ErrorClass.NEW

    def baseline_fate(error: WordError) -> ErrorClass:
        if error in of_student:
            return ErrorClass.SHARED if error in of_teacher else ErrorClass.KEPT
        return ErrorClass.REPLACED if error.place in student_errs else ErrorClass.MENDED

    def teacher_fate(error: WordError) -> ErrorClass:
        if error in of_student:
            return ErrorClass.SHARED if error in of_baseline else ErrorClass.INHERITED
        return ErrorClass.SHED if error in of_baseline else ErrorClass.AVOIDED

    return Fates(
        {error: teacher_fate(error) for error in teacher},
        {error: baseline_fate(error) for error in baseline},
        {error: student_fate(error) for error in student},
    )


@dataclass(frozen=True)
class ErrorClassCounts:
    """How many errors of each class, over utterances."""

    teacher: Counter[ErrorClass] = field(default_factory=Counter)
    baseline: Counter[ErrorClass] = field(default_factory=Counter)
    student: Counter[ErrorClass] = field(default_factory=Counter)

    def add(self, found: Fates) -> None:
        """Count an utterance."""
        self.teacher.update(found.teacher.values())
        self.baseline.update(found.baseline.values())
        self.student.update(found.student.values())


def tally(utterances: Iterable[Fates]) -> ErrorClassCounts:
    """Count classes over utterances."""
    total = ErrorClassCounts()
    for found in utterances:
        total.add(found)
    return total
