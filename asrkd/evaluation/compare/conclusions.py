"""Conclusions of a comparison in sentences: unequal trainings, significant differences, the set's power."""

from collections.abc import Iterator, Sequence

from asrkd.evaluation.compare.comparison import Comparison, Difference, MatchedPairsTest, SystemResult
from asrkd.evaluation.compare.reservations import reservations
from asrkd.evaluation.compare.systems import STUDENT, TEACHER

SIGNIFICANT = 0.05
FEW_BLOCKS = 10  # results from fewer come with a warning


def is_significant(difference: Difference) -> bool:
    """Whether the difference from the baseline is significant.

    Both tests must be significant at 5 % after Holm's correction: MAPSSWE, which uses each segment but treats
    all as independent, and the t test over blocks and seeds, which allows for correlated errors of a speaker.
    """
    return difference.mapsswe.p_holm < SIGNIFICANT and (
        difference.p_holm is not None and difference.p_holm < SIGNIFICANT
    )


def conclusions(comparison: Comparison) -> list[str]:
    """Write sentences to be printed below the table."""
    compared = [system for system in comparison.systems if system.difference and system.role == STUDENT]
    sentences = [*_without_spread(comparison), *_few_blocks(comparison)]
    if compared:
        verdicts = _verdicts(compared, comparison)
        sentences = [*verdicts, *_power(comparison, compared), *sentences, *_seeds(comparison)]
    return [*fairness_sentences(comparison), *sentences]


def fairness_sentences(comparison: Comparison) -> list[str]:
    """Write the sentences on unequal and unsettled trainings, which stand before the verdicts."""
    names = [system.name for system in comparison.systems if system.role != TEACHER]
    return reservations(comparison.fairness, sorted(names, key=lambda name: name != comparison.baseline))


def _verdicts(students: Sequence[SystemResult], comparison: Comparison) -> Iterator[str]:
    baseline = comparison.baseline or ""
    doubtful = {
        student.name for student in students if comparison.fairness.has_reservations(student.name, baseline)
    }
    significant = [each for each in students if each.difference and is_significant(each.difference)]
    better = [student for student in significant if student.difference and student.difference.value < 0]
    worse = [student for student in significant if student not in better]
    others = [student for student in students if student not in significant]
    for verdict, group in (
        (f"Significantly better than {baseline}", better),
        (f"Significantly worse than {baseline}", worse),
        (f"Not significantly different from {baseline}", others),
    ):
        if group:
            of_all = all(student.name in doubtful for student in group)
            named = [
                _with_points(
                    student, ", with reservations" if student.name in doubtful and not of_all else ""
                )
                for student in group
            ]
            yield f"{verdict}{', with these reservations' if of_all else ''}: {', '.join(named)}."


def _with_points(student: SystemResult, note: str) -> str:
    value = student.difference.value if student.difference else 0.0
    return f"{student.name} ({100 * value:+.2f} points{note})"


def _power(comparison: Comparison, students: Sequence[SystemResult]) -> Iterator[str]:
    smallest = [
        100 * student.difference.smallest
        for student in students
        if student.difference and student.difference.smallest is not None
    ]
    if not smallest:
        return
    low, high = f"{min(smallest):.2f}", f"{max(smallest):.2f}"
    blocks = "" if comparison.blocks == "utterance" else f", {_blocks(comparison)}"
    size = f"{low} points" if low == high else f"{low} to {high} points, depending on the student"
    yield (
        f"The smallest difference from {comparison.baseline} that this test set can detect is {size} "
        f"(two-sided 5 %, power 80 %; {comparison.num_utterances:,} utterances{blocks})."
    )


def _without_spread(comparison: Comparison) -> Iterator[str]:
    """Explain, for each system, a z of 0 that is due to segments with equal differences."""
    for system in comparison.systems:
        tested = system.difference.mapsswe if system.difference else None
        if tested is not None and tested.uniform_difference is not None:
            yield f"MAPSSWE: z of {system.name} is 0 {_why_zero(tested, comparison.baseline or '')}."


def _why_zero(tested: MatchedPairsTest, baseline: str) -> str:
    segments, difference = tested.num_segments, tested.uniform_difference or 0.0
    if segments == 0:
        return f"because neither it nor {baseline} has an error"
    if difference == 0:
        where = f"each of the {segments} segments" if segments > 1 else "the one segment"
        return f"because it has as many errors as {baseline} in {where}"
    noun = "error" if abs(difference) == 1 else "errors"
    errors = f"{abs(difference):.3g} {noun} {'fewer' if difference < 0 else 'more'} than {baseline}"
    convention = "by NIST's convention, which does not say which is better"
    if segments == 1:
        return f"{convention}: there is one segment, with {errors}, and one difference has no spread"
    return f"{convention}: each of the {segments} segments has {errors}, and equal differences have no spread"


def _few_blocks(comparison: Comparison) -> Iterator[str]:
    if comparison.num_blocks < 2:
        remedy = "; --blocks utterance resamples utterances instead"
        yield (
            f"With one {comparison.blocks}, intervals over {comparison.blocks}s cannot be computed"
            f"{remedy if comparison.blocks != 'utterance' else ''}."
        )
    elif comparison.num_blocks < FEW_BLOCKS:
        yield (
            f"With {_blocks(comparison)}, a single one can decide the result, "
            "which may be different on other test sets."
        )


def _seeds(comparison: Comparison) -> Iterator[str]:
    fewest = min(len(system.runs) for system in comparison.systems)
    if fewest == 1:
        yield "For systems with one seed, the results are about that model; another training may differ."
    elif fewest < 4:
        yield f"With {fewest} seeds, the variation between trainings is hardly known, so intervals are wide."


def _blocks(comparison: Comparison) -> str:
    return f"{comparison.num_blocks:,} {comparison.blocks}{'' if comparison.num_blocks == 1 else 's'}"
