"""What the page shows of inheritance: a figure and the words for each class of errors."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from asrkd.evaluation.inheritance.confusions import Confusion, PassedOn
from asrkd.evaluation.inheritance.error_classes import (
    BASELINE,
    STUDENT,
    TEACHER,
    ErrorClass,
    ErrorClassCounts,
)
from asrkd.evaluation.inheritance.inherited import Inheritance
from asrkd.evaluation.inheritance.pseudo_labels import PseudoLabels
from asrkd.evaluation.report.figures.bars import BarSegment, stacked_figure
from asrkd.evaluation.report.systems import ReportedSystem


@dataclass(frozen=True)
class ErrorClassTable:
    """The classes of one system's errors, in words."""

    system: str  # the name of its counter in a tally
    title: str
    fates: Sequence[tuple[ErrorClass, str]]


GROUPS = (
    ErrorClassTable(
        "student",
        "The student’s errors",
        (
            (ErrorClass.SHARED, "made by all three"),
            (ErrorClass.INHERITED, "the teacher’s, word for word; the baseline does not make them"),
            (ErrorClass.KEPT, "the baseline’s, word for word; the teacher does not make them"),
            (ErrorClass.CHANGED, "of its own, where the baseline errs in another way"),
            (ErrorClass.NEW, "of its own, where the baseline is right"),
        ),
    ),
    ErrorClassTable(
        "baseline",
        "The baseline’s errors",
        (
            (ErrorClass.SHARED, "made by all three"),
            (ErrorClass.KEPT, "made by the student too"),
            (ErrorClass.MENDED, "the student is right there"),
            (ErrorClass.REPLACED, "the student errs there in another way"),
        ),
    ),
    ErrorClassTable(
        "teacher",
        "The teacher’s errors",
        (
            (ErrorClass.SHARED, "made by all three"),
            (ErrorClass.INHERITED, "passed on: made by the student, not by the baseline"),
            (ErrorClass.SHED, "made by the baseline, not by the student"),
            (ErrorClass.AVOIDED, "made by neither"),
        ),
    ),
)

# The order of the pieces in the figure, so that what two bars have in common stands at the same side.
_IN_FIGURE = {
    "baseline": (ErrorClass.SHARED, ErrorClass.KEPT, ErrorClass.REPLACED, ErrorClass.MENDED),
    "student": (ErrorClass.SHARED, ErrorClass.KEPT, ErrorClass.CHANGED, ErrorClass.NEW, ErrorClass.INHERITED),
    "teacher": (ErrorClass.SHARED, ErrorClass.INHERITED, ErrorClass.SHED, ErrorClass.AVOIDED),
}
ORDER = tuple(dict.fromkeys((*_IN_FIGURE["baseline"], *_IN_FIGURE["student"], *_IN_FIGURE["teacher"])))
assert set(ORDER) == {*STUDENT, *BASELINE, *TEACHER}


@dataclass(frozen=True)
class InheritanceSection:
    """A student's part of the page."""

    label: str
    teacher: str
    baseline: str
    tally: ErrorClassCounts
    drawing: Markup
    passed_on: list[PassedOn]
    labels: list[tuple[str, PseudoLabels]]
    notes: list[str]

    def count(self, system: str, fate: ErrorClass) -> int:
        """Errors of a class of 'teacher', 'baseline' or 'student'."""
        return _counter(self.tally, system)[fate]

    def total(self, system: str) -> int:
        """All errors of 'teacher', 'baseline' or 'student'."""
        return sum(_counter(self.tally, system).values())

    def pair(self, confusion: Confusion) -> str:
        """What the page's script needs to find the utterances with a confusion."""
        return json.dumps(confusion._asdict() | {"student": self.label}, ensure_ascii=False)


def inheritance_shown(
    systems: Sequence[ReportedSystem], found: Sequence[Inheritance]
) -> list[InheritanceSection]:
    """Draw what each student inherits."""
    return [_shown(systems, own) for own in found]


def _shown(systems: Sequence[ReportedSystem], own: Inheritance) -> InheritanceSection:
    line = own.line
    names = {"baseline": line.baseline, "student": line.student, "teacher": line.teacher}
    labels = {name: systems[number].label for name, number in names.items()}
    rows = [
        (
            labels[name],
            [
                BarSegment(fate.value, _counter(own.tally, name)[fate], fate.value)
                for fate in _IN_FIGURE[name]
            ],
        )
        for name in names
    ]
    counts = own.tally.student
    described = ", ".join(f"{fate.value} {counts[fate]}" for fate in _IN_FIGURE["student"])
    drawing = stacked_figure(rows, f"Errors of {labels['student']}: {described}")
    return InheritanceSection(
        label=labels["student"],
        teacher=labels["teacher"],
        baseline=labels["baseline"],
        tally=own.tally,
        drawing=drawing,
        passed_on=own.passed_on,
        labels=own.labels,
        notes=own.notes,
    )


def _counter(tally: ErrorClassCounts, system: str) -> Counter[ErrorClass]:
    return {"teacher": tally.teacher, "baseline": tally.baseline, "student": tally.student}[system]
