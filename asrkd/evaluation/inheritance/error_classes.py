"""Error classes: how the errors of a baseline, its teacher and a student trained by the teacher are related.

All three systems are aligned to the same reference; an error is a wrong word, or none, at a place
(:mod:`asrkd.evaluation.inheritance.error_places`). The errors of each system fall into disjoint classes that
cover all of them. In this table "yes" is the same error, and "any" is yes or no:

========== ======= ======== ======= ==========================================
class      teacher baseline student
========== ======= ======== ======= ==========================================
shared     yes     yes      yes
inherited  yes     no       yes     word for word the teacher's
kept       no      yes      yes     the teacher did not correct it
changed    no      no       yes     the baseline has another error there
new        no      no       yes     the baseline is correct there
corrected  any     yes      no      the student is correct there
replaced   any     yes      no      the student has another error there
shed       yes     yes      no      the baseline makes the teacher's error too
avoided    yes     no       no      only the teacher makes it
========== ======= ======== ======= ==========================================

So the student's errors are shared + inherited + kept + changed + new, the baseline's are shared + kept +
corrected + replaced, and the teacher's are shared + inherited + shed + avoided. Compare ``inherited`` with
``shed``: if the student were just another baseline, the two would be about equal.
"""

from collections import Counter
from collections.abc import Collection
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
    CORRECTED = "corrected"
    REPLACED = "replaced"
    SHED = "shed"
    AVOIDED = "avoided"


STUDENT = (ErrorClass.SHARED, ErrorClass.INHERITED, ErrorClass.KEPT, ErrorClass.CHANGED, ErrorClass.NEW)
BASELINE = (ErrorClass.SHARED, ErrorClass.KEPT, ErrorClass.CORRECTED, ErrorClass.REPLACED)
TEACHER = (ErrorClass.SHARED, ErrorClass.INHERITED, ErrorClass.SHED, ErrorClass.AVOIDED)


@dataclass(frozen=True)
class ClassifiedErrors:
    """The class of every error of an utterance, by system."""

    teacher: dict[WordError, ErrorClass]
    baseline: dict[WordError, ErrorClass]
    student: dict[WordError, ErrorClass]


def classify_errors(
    teacher: Collection[WordError], baseline: Collection[WordError], student: Collection[WordError]
) -> ClassifiedErrors:
    """Classify the errors of three systems on one utterance; no collection has an error twice."""
    of_teacher, of_baseline, of_student = set(teacher), set(baseline), set(student)
    baseline_places = {error.place for error in of_baseline}
    student_places = {error.place for error in of_student}

    def student_class(error: WordError) -> ErrorClass:
        if error in of_teacher:
            return ErrorClass.SHARED if error in of_baseline else ErrorClass.INHERITED
        if error in of_baseline:
            return ErrorClass.KEPT
        return ErrorClass.CHANGED if error.place in baseline_places else ErrorClass.NEW

    def baseline_class(error: WordError) -> ErrorClass:
        if error in of_student:
            return ErrorClass.SHARED if error in of_teacher else ErrorClass.KEPT
        return ErrorClass.REPLACED if error.place in student_places else ErrorClass.CORRECTED

    def teacher_class(error: WordError) -> ErrorClass:
        if error in of_student:
            return ErrorClass.SHARED if error in of_baseline else ErrorClass.INHERITED
        return ErrorClass.SHED if error in of_baseline else ErrorClass.AVOIDED

    return ClassifiedErrors(
        {error: teacher_class(error) for error in teacher},
        {error: baseline_class(error) for error in baseline},
        {error: student_class(error) for error in student},
    )


@dataclass(frozen=True)
class ErrorClassCounts:
    """Number of errors of each class, by system, over utterances."""

    teacher: Counter[ErrorClass] = field(default_factory=Counter)
    baseline: Counter[ErrorClass] = field(default_factory=Counter)
    student: Counter[ErrorClass] = field(default_factory=Counter)

    def add(self, errors: ClassifiedErrors) -> None:
        """Add the errors of an utterance."""
        self.teacher.update(errors.teacher.values())
        self.baseline.update(errors.baseline.values())
        self.student.update(errors.student.values())
