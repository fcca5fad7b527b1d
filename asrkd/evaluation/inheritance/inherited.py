"""What students inherit from their teacher, over a test set and in their training labels."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.systems import BASELINE, STUDENT, TEACHER
from asrkd.evaluation.inheritance.confusions import Confusion, PassedOn, confusions, passed_on
from asrkd.evaluation.inheritance.error_classes import ErrorClass, ErrorClassCounts, Fates, fates
from asrkd.evaluation.inheritance.error_places import Aligned, WordError, lay_along
from asrkd.evaluation.inheritance.pseudo_labels import PseudoLabels, read_pseudo_labels
from asrkd.evaluation.report.scored_cuts import training_transcripts
from asrkd.evaluation.report.systems import ReportedSystem, of_role
from asrkd.scoring.normalizer import normalize
from asrkd.scoring.score_folder import ScoredUtterance, ScoreFolder
from asrkd.scoring.units import units
from asrkd.scoring.word_alignment import align_words
from asrkd.targets.store.used_stores import UsedStore

MOST_CONFUSIONS = 12  # of a student, in the table


@dataclass(frozen=True)
class Line:
    """A student with the systems it is held against, by their place among the systems."""

    student: int
    teacher: int
    baseline: int


@dataclass
class Inheritance:
    """What a student shares with its teacher."""

    line: Line
    tally: ErrorClassCounts = field(default_factory=ErrorClassCounts)
    passed_on: list[PassedOn] = field(default_factory=list)  # worst first
    labels: list[tuple[str, PseudoLabels]] = field(default_factory=list)  # by the store's name
    notes: list[str] = field(default_factory=list)  # what could not be looked at, and why


def lines(systems: Sequence[ReportedSystem]) -> list[Line]:
    """Every student with teacher and baseline of its seed; none without a teacher and a baseline."""
    found = []
    for number, system in enumerate(systems):
        teacher, baseline = (of_role(systems, role, system.seed) for role in (TEACHER, BASELINE))
        if system.role == STUDENT and teacher is not None and baseline is not None:
            found.append(Line(number, systems.index(teacher), systems.index(baseline)))
    return found


def aligned(
    systems: Sequence[ReportedSystem], chosen: Container[str] | None = None
) -> Iterator[tuple[str, list[Aligned]]]:
    """(id, each system's words along the reference), an utterance after the other.

    Args:
        systems: scored on the same references.
        chosen: ids of those that are wanted; None: all.
    """
    for found in zip(*(system.score.utterances for system in systems), strict=True):
        if chosen is None or found[0].id in chosen:
            yield (
                found[0].id,
                [_lay(one, system.score) for one, system in zip(found, systems, strict=True)],
            )


def _lay(one: ScoredUtterance, score: ScoreFolder) -> Aligned:
    if one.network is not None:
        return lay_along(one.network.pairs(one.hypothesis.split()))
    if not one.counts.errors:  # most are, and aligning takes the time
        return lay_along([(word, word) for word in units(one.reference, score.unit)])
    return lay_along(align_words(one.reference, one.hypothesis, score.alignment, score.unit))


def fates_on(line: Line, heard: Sequence[Aligned]) -> Fates:
    """The fates of an utterance's errors between the systems of a line."""
    return fates(*(heard[number].errors for number in (line.teacher, line.baseline, line.student)))


def student_fates(
    systems: Sequence[ReportedSystem], heard: Sequence[Aligned]
) -> list[Mapping[WordError, ErrorClass] | None]:
    """By system the fate of each of its errors in an utterance; None where it is no student."""
    found: list[Mapping[WordError, ErrorClass] | None] = [None] * len(systems)
    for line in lines(systems):
        found[line.student] = fates_on(line, heard).student
    return found


def inheritances(systems: Sequence[ReportedSystem]) -> list[Inheritance]:
    """What each student inherits, over all utterances.

    Raises:
        AsrkdError: a store of pseudo-labels is damaged.
    """
    found = [Inheritance(line) for line in lines(systems)]
    said: list[Counter[Confusion]] = [Counter() for _ in systems]
    for _, heard in aligned(systems) if found else ():
        for counter, one in zip(said, heard, strict=True):
            counter.update(confusions([one]))
        for own in found:
            own.tally.add(fates_on(own.line, heard))
    for own in found:
        line = own.line
        own.passed_on = passed_on(said[line.teacher], said[line.baseline], said[line.student])
        _add_labels(own, systems[line.student])
    return found


def _add_labels(own: Inheritance, student: ReportedSystem) -> None:
    own.notes += [f"{name} is no longer there" for name in student.stores.missing]
    for store in student.stores.found:
        if store.kind != "nbest":
            continue
        try:
            own.labels.append((store.name, _labels(store, student)))
        except AsrkdError as error:
            own.notes.append(str(error))


def _labels(store: UsedStore, student: ReportedSystem) -> PseudoLabels:
    score = student.score
    return read_pseudo_labels(
        store.path,
        training_transcripts(student),
        store.num_hypotheses or 0,
        partial(normalize, normalizer=score.normalizer),
        score.alignment,
        score.unit,
    )
