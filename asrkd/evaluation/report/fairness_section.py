"""Fairness section of the report: settings that differ between the trainings, and how each training ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from asrkd.evaluation.compare.comparison import Comparison
from asrkd.evaluation.compare.conclusions import fairness_sentences
from asrkd.evaluation.compare.course import Course
from asrkd.evaluation.compare.settling import MIN_VALIDATIONS, ScheduleEnd, Trend
from asrkd.evaluation.report.figures.svg import Style
from asrkd.evaluation.report.page import p_value, percent, points


@dataclass(frozen=True)
class SettingRow:
    """A row of the table of settings."""

    name: str
    values: list[str]  # by system; empty: unknown
    is_condition: bool  # whether it makes the comparison unequal


@dataclass(frozen=True)
class CourseRow:
    """A row of the table of trainings, as text."""

    style: Style
    error_rate: str  # change on dev over the last third, with its p value
    loss: str
    learning_rate: str  # at the last update
    plateau: str


@dataclass(frozen=True)
class FairnessSection:
    """Sentences and tables; without rows, all is equal or nothing is known."""

    sentences: list[str]
    verdicts: list[str]  # the other conclusions
    systems: list[Style]  # columns of the settings
    settings: list[SettingRow]
    num_equal: int  # settings that are equal in all systems but the teacher
    courses: list[CourseRow]


def draw_fairness(comparison: Comparison, styles: Mapping[str, Style]) -> FairnessSection:
    """Prepare the section; ``styles`` are those of the systems, by name."""
    fairness = comparison.fairness
    known = [system for system in comparison.systems if system.name in fairness.courses]
    differing = [setting for setting in fairness.settings if setting.differs]
    equal = [setting for setting in fairness.settings if not setting.differs and setting.is_condition]
    sentences = fairness_sentences(comparison)
    return FairnessSection(
        sentences=sentences,
        verdicts=[each for each in comparison.conclusions if each not in sentences],
        systems=[styles[system.name] for system in known],
        settings=[
            SettingRow(
                setting.name,
                [", ".join(setting.values[system.name]) for system in known],
                setting.is_condition,
            )
            for setting in differing
        ],
        num_equal=len(equal) if len(known) > 1 else 0,
        courses=[_course(fairness.courses[system.name], styles[system.name]) for system in known],
    )


def _course(course: Course, style: Style) -> CourseRow:
    return CourseRow(
        style=style,
        error_rate=_trend(course.wer, course.num_validations, in_points=True),
        loss=_trend(course.loss, course.num_validations, in_points=False),
        learning_rate=_schedule(course.schedule),
        plateau="; ".join(each.plateau.text() for each in course.plateaus),
    )


def _trend(trend: Trend | None, num_validations: int, *, in_points: bool) -> str:
    """Describe the change over the last third, negative if it falls."""
    if trend is None and num_validations >= MIN_VALIDATIONS:
        return "not logged"
    if trend is None:
        return f"too few validations ({num_validations})"
    if in_points:
        change = f"{points(-trend.fall, 1, signed=True)} points"
    elif trend.start > 0:
        change = f"{points(-trend.fall / trend.start, 1, signed=True)} %"
    else:  # a loss near 0, whose line begins at 0 or below it
        change = f"{-trend.fall:+.3g} nats per token"
    return f"{change}, p {p_value(trend.p)}{'; still falling' if trend.is_falling else ''}"


def _schedule(schedule: ScheduleEnd | None) -> str:
    if schedule is None:
        return ""
    return f"{percent(schedule.share)} of its peak, {_WORDS[schedule.kind]}"


_WORDS: Mapping[str, str] = {
    "ended": "at its end",
    "unfinished": "not at its end",
    "constant": "constant",
    "warm-up": "in the warm-up",
}
