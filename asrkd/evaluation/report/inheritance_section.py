"""Inheritance section of the report: a figure and a table of error classes for each student."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.inheritance.error_classes import (
    BASELINE,
    STUDENT,
    TEACHER,
    ErrorClass,
    ErrorClassCounts,
)
from asrkd.evaluation.inheritance.error_places import Confusion, InheritedConfusion
from asrkd.evaluation.inheritance.pseudo_labels import PseudoLabels
from asrkd.evaluation.report.figures.bars import BarSegment, stacked_figure
from asrkd.evaluation.report.inherited import Inheritance
from asrkd.evaluation.report.systems import ReportedSystem


@dataclass(frozen=True)
class ErrorClassGroup:
    """The error classes of one system, with descriptions: a group of rows of the table."""

    system: str  # teacher, baseline or student
    title: str
    classes: Sequence[tuple[ErrorClass, str]]


GROUPS = (
    ErrorClassGroup(
        "student",
        "The student’s errors",
        (
            (ErrorClass.SHARED, "made by all three"),
            (ErrorClass.INHERITED, "the teacher’s, word for word; not made by the baseline"),
            (ErrorClass.KEPT, "the baseline’s, word for word; not made by the teacher"),
            (ErrorClass.CHANGED, "others, where the baseline has another error"),
            (ErrorClass.NEW, "others, where the baseline is correct"),
        ),
    ),
    ErrorClassGroup(
        "baseline",
        "The baseline’s errors",
        (
            (ErrorClass.SHARED, "made by all three"),
            (ErrorClass.KEPT, "also made by the student"),
            (ErrorClass.CORRECTED, "the student is correct there"),
            (ErrorClass.REPLACED, "the student has another error there"),
        ),
    ),
    ErrorClassGroup(
        "teacher",
        "The teacher’s errors",
        (
            (ErrorClass.SHARED, "made by all three"),
            (ErrorClass.INHERITED, "made by the student, not by the baseline"),
            (ErrorClass.SHED, "made by the baseline, not by the student"),
            (ErrorClass.AVOIDED, "made by neither"),
        ),
    ),
)

# Order of segments in the figure, so that classes that two bars share are on the same side.
_IN_FIGURE = {
    "baseline": (ErrorClass.SHARED, ErrorClass.KEPT, ErrorClass.REPLACED, ErrorClass.CORRECTED),
    "student": (ErrorClass.SHARED, ErrorClass.KEPT, ErrorClass.CHANGED, ErrorClass.NEW, ErrorClass.INHERITED),
    "teacher": (ErrorClass.SHARED, ErrorClass.INHERITED, ErrorClass.SHED, ErrorClass.AVOIDED),
}
ORDER = tuple(dict.fromkeys((*_IN_FIGURE["baseline"], *_IN_FIGURE["student"], *_IN_FIGURE["teacher"])))
assert set(ORDER) == {*STUDENT, *BASELINE, *TEACHER}


@dataclass(frozen=True)
class InheritanceSection:
    """A student's part of the section."""

    label: str
    teacher: str
    baseline: str
    counts: ErrorClassCounts
    figure: Markup
    confusions: list[InheritedConfusion]
    labels: list[tuple[str, PseudoLabels]]
    notes: list[str]

    def count(self, system: str, error_class: ErrorClass) -> int:
        """Return the errors of a class of 'teacher', 'baseline' or 'student'."""
        return _counter(self.counts, system)[error_class]

    def total(self, system: str) -> int:
        """Return all errors of 'teacher', 'baseline' or 'student'."""
        return sum(_counter(self.counts, system).values())

    def pair(self, confusion: Confusion) -> str:
        """Encode a confusion as JSON, by which the page's script filters utterances."""
        return json.dumps(confusion._asdict() | {"student": self.label}, ensure_ascii=False)


def draw_inheritance(
    systems: Sequence[ReportedSystem], inheritances: Sequence[Inheritance]
) -> list[InheritanceSection]:
    """Draw the inheritance of each student."""
    return [_draw(systems, inheritance) for inheritance in inheritances]


def _draw(systems: Sequence[ReportedSystem], inheritance: Inheritance) -> InheritanceSection:
    triple, counts = inheritance.triple, inheritance.counts
    numbers = {"baseline": triple.baseline, "student": triple.student, "teacher": triple.teacher}
    labels = {name: systems[number].label for name, number in numbers.items()}
    rows = [
        (
            labels[name],
            [
                BarSegment(error_class.value, _counter(counts, name)[error_class], error_class.value)
                for error_class in _IN_FIGURE[name]
            ],
        )
        for name in numbers
    ]
    described = ", ".join(f"{each.value} {counts.student[each]}" for each in _IN_FIGURE["student"])
    return InheritanceSection(
        label=labels["student"],
        teacher=labels["teacher"],
        baseline=labels["baseline"],
        counts=counts,
        figure=stacked_figure(rows, f"Errors of {labels['student']}: {described}"),
        confusions=inheritance.confusions,
        labels=inheritance.labels,
        notes=inheritance.notes,
    )


def _counter(counts: ErrorClassCounts, system: str) -> Counter[ErrorClass]:
    return {"teacher": counts.teacher, "baseline": counts.baseline, "student": counts.student}[system]
