"""Sentences on unequal trainings, which stand before the verdicts of a comparison."""

import sys
from collections.abc import Iterator, Sequence

from asrkd.core.errors import counted
from asrkd.evaluation.compare.course import Course
from asrkd.evaluation.compare.fairness import Fairness
from asrkd.evaluation.compare.settings import EPOCHS, Setting
from asrkd.evaluation.compare.settling import MIN_VALIDATIONS, Trend

MOST_NAMED = 5  # settings that a sentence names
MOST_TEXT = 40  # characters of a value in a sentence


def reservations(fairness: Fairness, names: Sequence[str]) -> list[str]:
    """Write what was found about the systems ``names``, all but the teacher, the baseline first."""
    courses = {name: fairness.courses[name] for name in names if name in fairness.courses}
    return [
        *_plateaus(courses),
        *_unequal(fairness.unequal, names),
        *_epochs(fairness.settings, names),
        *_unsettled(courses),
        *_constant(courses),
        *_undecided(courses),
        *_unknown(fairness.unknown),
    ]


def _plateaus(courses: dict[str, Course]) -> Iterator[str]:
    stuck = {name: course for name, course in courses.items() if course.plateaus}
    if not stuck:
        return
    described = [
        f"{name} ({_seeds_of(course)}{course.plateaus[0].plateau.text()})" for name, course in stuck.items()
    ]
    others = [name for name in courses if name not in stuck]
    unlike = f", unlike {', '.join(others)}" if others else ""
    yield f"On CTC's plateau: {'; '.join(described)}{unlike}."


def _seeds_of(course: Course) -> str:
    """Name the seeds on a plateau, unless there is one seed in all."""
    seeds = ", ".join(str(each.seed) for each in course.plateaus)
    return f"seed {seeds} of {course.num_seeds}: " if course.num_seeds > 1 else ""


def _unequal(settings: Sequence[Setting], names: Sequence[str]) -> Iterator[str]:
    if settings:
        more = f"; and {len(settings) - MOST_NAMED} more" if len(settings) > MOST_NAMED else ""
        listed = "; ".join(by_value(setting, names, MOST_TEXT) for setting in settings[:MOST_NAMED])
        yield f"Unequal settings: {listed}{more}."


def by_value(setting: Setting, names: Sequence[str], most_text: int = sys.maxsize) -> str:
    """Group the systems ``names`` by their values: 'optim.lr 0.006 (baseline), 0.012 (mvq-kd)'.

    A value of more than ``most_text`` characters loses its end, unless two would then read alike.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        for value in dict.fromkeys(setting.values.get(name, [])):
            groups.setdefault(value, []).append(name)
    shown = {value: value if len(value) <= most_text else f"{value[:most_text]}..." for value in groups}
    if len(set(shown.values())) < len(groups):
        shown = {value: value for value in groups}
    return f"{setting.name} " + ", ".join(
        f"{shown[value]} ({', '.join(group)})" for value, group in groups.items()
    )


def _epochs(settings: Sequence[Setting], names: Sequence[str]) -> Iterator[str]:
    """Explain epochs that differ because lists are expanded."""
    for setting in settings:
        values = [value for name in names for value in setting.values.get(name, [])]
        if setting.name == EPOCHS and setting.differs and any("passes" in value for value in values):
            yield (
                f"Not counted as unequal: {by_value(setting, names)}; with expanded lists an epoch has a "
                "pass for each hypothesis."
            )


def _unsettled(courses: dict[str, Course]) -> Iterator[str]:
    reasons = {name: [*_falls(course), *_schedules(course)] for name, course in courses.items()}
    described = [f"{name} ({'; '.join(each)})" for name, each in reasons.items() if each]
    if described:
        yield f"Not settled: {', '.join(described)}."


def _falls(course: Course) -> Iterator[str]:
    when = "in the last third" + (", mean over seeds" if course.num_seeds > 1 else "")
    if course.wer is not None and course.wer.is_falling:
        yield f"dev {course.rate} fell by {100 * course.wer.fall:.1f} points {when}"
    elif course.loss is not None and course.loss.is_falling:
        yield f"dev loss fell by {_share(course.loss)} {when}"


def _share(trend: Trend) -> str:
    return f"{100 * trend.fall / trend.start:.0f} %"


def _schedules(course: Course) -> Iterator[str]:
    if course.schedule is None:
        return
    if course.schedule.kind == "warm-up":
        yield "ended in the warm-up of the learning rate"
    elif course.schedule.kind == "unfinished":
        yield f"ended at {100 * course.schedule.share:.0f} % of the peak learning rate"


def _constant(courses: dict[str, Course]) -> Iterator[str]:
    constant = [
        name for name, course in courses.items() if course.schedule and course.schedule.kind == "constant"
    ]
    if constant:
        names = ", ".join(constant)
        yield f"Constant learning rate to the end: {names}; a decay may lower the error rate further."


def _undecided(courses: dict[str, Course]) -> Iterator[str]:
    """Name the systems with too few validations, unless other signs show that they had not settled."""
    few = {
        name: course
        for name, course in courses.items()
        if course.num_validations < MIN_VALIDATIONS or course.unlogged
    }
    described = [
        f"{name} ({_validations(course)})" for name, course in few.items() if not course.has_reservations
    ]
    if described:
        yield (
            f"Not known whether settled: {', '.join(described)}; it takes {MIN_VALIDATIONS} validations in "
            "the last third, so lower validation.every_steps."
        )


def _validations(course: Course) -> str:
    """Count the validations of a system, which all its seeds have to have in the same steps."""
    if course.num_seeds > 1 and course.unlogged:
        return f"none in the log of seed {', '.join(map(str, course.unlogged))}"
    shared = " at steps that all seeds have" if course.num_seeds > 1 else ""
    return counted(course.num_validations, "validation") + shared


def _unknown(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"Not known how trained: {', '.join(names)} (no config and log of a training)."
