"""What a comparison shows, in words: who is better beyond noise, and what the test set could have shown."""

from collections.abc import Iterator, Sequence

from asrkd.evaluation.compare.comparison import Comparison, Difference, MatchedPairsTest, SystemResult
from asrkd.evaluation.compare.systems import STUDENT

SIGNIFICANT = 0.05
FEW_BLOCKS = 10  # of fewer one cannot see whether they are alike


def is_shown(difference: Difference) -> bool:
    """Whether the system differs from the baseline beyond noise.

    Both tests must say so, at 5 % after Holm's correction: MAPSSWE, which
    sees each segment but takes all for independent, and the t test over
    blocks and seeds, which knows that a speaker's errors come together.
    """
    return difference.mapsswe.p_holm < SIGNIFICANT and (
        difference.p_holm is not None and difference.p_holm < SIGNIFICANT
    )


def conclusions(comparison: Comparison) -> list[str]:
    """Sentences, to be read below the table."""
    compared = [system for system in comparison.systems if system.difference and system.role == STUDENT]
    said = [*_without_spread(comparison), *_few_blocks(comparison)]
    if compared:
        said = [*_verdicts(compared, comparison.baseline or ""), *_power(comparison, compared), *said]
        said += _seeds(comparison)
    return said


def _verdicts(students: Sequence[SystemResult], baseline: str) -> Iterator[str]:
    shown = [student for student in students if student.difference and is_shown(student.difference)]
    better = [student for student in shown if student.difference and student.difference.value < 0]
    worse = [student for student in shown if student not in better]
    rest = [student for student in students if student not in shown]
    for verdict, found in (
        (f"Better than {baseline} beyond noise", better),
        (f"Worse than {baseline} beyond noise", worse),
        (f"Not shown to differ from {baseline}", rest),
    ):
        if found:
            yield f"{verdict}: {', '.join(map(_with_points, found))}."


def _with_points(student: SystemResult) -> str:
    value = student.difference.value if student.difference else 0.0
    return f"{student.name} ({100 * value:+.2f} points)"


def _power(comparison: Comparison, students: Sequence[SystemResult]) -> Iterator[str]:
    smallest = [
        100 * student.difference.smallest
        for student in students
        if student.difference and student.difference.smallest is not None
    ]
    if not smallest:
        return
    low, high = f"{min(smallest):.2f}", f"{max(smallest):.2f}"
    size = f"{low} points" if low == high else f"{low} to {high} points, depending on the student"
    yield (
        f"The smallest difference from {comparison.baseline} that this test set can show is {size} "
        f"(two-sided 5 %, power 80 %; {comparison.num_utterances:,} utterances, {_blocks(comparison)})."
    )


def _without_spread(comparison: Comparison) -> Iterator[str]:
    """Why MAPSSWE's z is 0 where no segment differs more than another, a sentence for each such system."""
    for system in comparison.systems:
        tested = system.difference.mapsswe if system.difference else None
        if tested is not None and tested.uniform_difference is not None:
            yield f"MAPSSWE: z of {system.name} is 0 {_why_zero(tested, comparison.baseline or '')}."


def _why_zero(tested: MatchedPairsTest, baseline: str) -> str:
    segments, difference = tested.num_segments, tested.uniform_difference or 0.0
    if segments == 0:
        return f"as neither it nor {baseline} has an error"
    if difference == 0:
        where = f"each of the {segments} segments" if segments > 1 else "the one segment"
        return f"as it has as many errors as {baseline} in {where} where either errs"
    noun = "error" if abs(difference) == 1 else "errors"
    errors = f"{abs(difference):.3g} {noun} {'fewer' if difference < 0 else 'more'} than {baseline}"
    convention = "by NIST's convention, which says nothing of who is better"
    if segments == 1:
        return f"{convention}: there is one segment, with {errors}, and one difference has no spread"
    return f"{convention}: each of the {segments} segments has {errors}, and equal differences have no spread"


def _few_blocks(comparison: Comparison) -> Iterator[str]:
    if comparison.num_blocks < 2:
        yield (
            f"There is one {comparison.blocks}: nothing can be said of others, so there are no intervals; "
            "--blocks utterance gives intervals for this one."
        )
    elif comparison.num_blocks < FEW_BLOCKS:
        yield (
            f"With {_blocks(comparison)} much rests on each of them: one that is unlike the others decides, "
            "and other test sets may say otherwise."
        )


def _seeds(comparison: Comparison) -> Iterator[str]:
    fewest = min(len(system.runs) for system in comparison.systems)
    if fewest == 1:
        yield "Where a system has one seed, this is about that model; trained again, it may differ."
    elif fewest < 4:
        yield f"With {fewest} seeds, how much trainings differ is hardly known: hence the wide intervals."


def _blocks(comparison: Comparison) -> str:
    return f"{comparison.num_blocks:,} {comparison.blocks}{'' if comparison.num_blocks == 1 else 's'}"
