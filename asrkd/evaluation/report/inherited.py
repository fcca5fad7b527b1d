"""Inheritance of errors from a teacher by its students, over a test set and in their training labels."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.systems import BASELINE, STUDENT, TEACHER
from asrkd.evaluation.inheritance.error_classes import (
    ClassifiedErrors,
    ErrorClass,
    ErrorClassCounts,
    classify_errors,
)
from asrkd.evaluation.inheritance.error_places import (
    AlignedHypothesis,
    Confusion,
    InheritedConfusion,
    WordError,
    by_place,
    confusions,
    inherited_confusions,
)
from asrkd.evaluation.inheritance.pseudo_labels import PseudoLabels, read_pseudo_labels
from asrkd.evaluation.report.scored_cuts import training_transcripts
from asrkd.evaluation.report.systems import ReportedSystem, of_role
from asrkd.scoring.normalizer import normalize
from asrkd.scoring.score_folder import ScoredUtterance, ScoreFolder
from asrkd.scoring.units import units
from asrkd.scoring.word_alignment import align_words
from asrkd.targets.store.used_stores import UsedStore

MOST_CONFUSIONS = 12  # rows of a student's table of confusions


@dataclass(frozen=True)
class SystemTriple:
    """A student with the teacher and the baseline that it is compared with: indexes into the systems."""

    student: int
    teacher: int
    baseline: int


@dataclass
class Inheritance:
    """The errors that a student shares with its teacher."""

    triple: SystemTriple
    counts: ErrorClassCounts = field(default_factory=ErrorClassCounts)
    confusions: list[InheritedConfusion] = field(default_factory=list)  # worst first
    labels: list[tuple[str, PseudoLabels]] = field(default_factory=list)  # by name of the store
    notes: list[str] = field(default_factory=list)  # stores that could not be read, and why


def system_triples(systems: Sequence[ReportedSystem]) -> list[SystemTriple]:
    """List every student with the teacher and the baseline of its seed; empty if either is missing."""
    triples = []
    for number, system in enumerate(systems):
        teacher, baseline = (of_role(systems, role, system.seed) for role in (TEACHER, BASELINE))
        if system.role == STUDENT and teacher is not None and baseline is not None:
            triples.append(SystemTriple(number, systems.index(teacher), systems.index(baseline)))
    return triples


def aligned_utterances(
    systems: Sequence[ReportedSystem], ids: Container[str] | None = None
) -> Iterator[tuple[str, list[AlignedHypothesis]]]:
    """Yield (id, aligned hypothesis of each system) for every utterance.

    Args:
        systems: systems scored on the same references.
        ids: ids of the utterances; None: all.
    """
    for utterances in zip(*(system.score.utterances for system in systems), strict=True):
        if ids is None or utterances[0].id in ids:
            yield (
                utterances[0].id,
                [_align(each, system.score) for each, system in zip(utterances, systems, strict=True)],
            )


def _align(utterance: ScoredUtterance, score: ScoreFolder) -> AlignedHypothesis:
    if utterance.network is not None:
        return by_place(utterance.network.pairs(utterance.hypothesis.split()))
    if not utterance.counts.errors:  # the usual case, which needs no alignment
        return by_place([(word, word) for word in units(utterance.reference, score.unit)])
    return by_place(align_words(utterance.reference, utterance.hypothesis, score.alignment, score.unit))


def classify(triple: SystemTriple, hypotheses: Sequence[AlignedHypothesis]) -> ClassifiedErrors:
    """Classify the errors of a triple of systems on an utterance, given every system's hypothesis of it."""
    return classify_errors(
        *(hypotheses[number].errors for number in (triple.teacher, triple.baseline, triple.student))
    )


def student_error_classes(
    systems: Sequence[ReportedSystem], hypotheses: Sequence[AlignedHypothesis]
) -> list[Mapping[WordError, ErrorClass] | None]:
    """Return the class of each error in an utterance, by system; None for systems that are no students."""
    classes: list[Mapping[WordError, ErrorClass] | None] = [None] * len(systems)
    for triple in system_triples(systems):
        classes[triple.student] = classify(triple, hypotheses).student
    return classes


def inheritances(systems: Sequence[ReportedSystem]) -> list[Inheritance]:
    """Compute the inheritance of each student over all utterances.

    Raises:
        AsrkdError: a store of pseudo-labels is damaged.
    """
    students = [Inheritance(triple) for triple in system_triples(systems)]
    counted: list[Counter[Confusion]] = [Counter() for _ in systems]
    for _, hypotheses in aligned_utterances(systems) if students else ():
        for counter, hypothesis in zip(counted, hypotheses, strict=True):
            counter.update(confusions([hypothesis]))
        for student in students:
            student.counts.add(classify(student.triple, hypotheses))
    for student in students:
        triple = student.triple
        student.confusions = inherited_confusions(
            counted[triple.teacher], counted[triple.baseline], counted[triple.student]
        )
        _add_labels(student, systems[triple.student])
    return students


def _add_labels(inheritance: Inheritance, student: ReportedSystem) -> None:
    inheritance.notes += [f"{name} is no longer there" for name in student.stores.missing]
    for store in student.stores.stores:
        if store.kind != "nbest":
            continue
        try:
            inheritance.labels.append((store.name, _labels(store, student)))
        except AsrkdError as error:
            inheritance.notes.append(str(error))


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
