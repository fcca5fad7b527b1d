"""Analysis of scored systems: every number of `asrkd compare` about errors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev

from asrkd.evaluation.compare.comparison import Difference, MatchedPairsTest, Run, Share, SystemResult
from asrkd.evaluation.compare.evidence import Evidence, error_maps
from asrkd.evaluation.compare.systems import BASELINE, STUDENT, TEACHER, ScoredRun, System
from asrkd.evaluation.costs.measuring import Costs
from asrkd.scoring.significance.bootstrap import expanded_percentile
from asrkd.scoring.significance.contrast import fieller, smallest_difference
from asrkd.scoring.significance.matched_pairs import ErrorMap, matched_pairs
from asrkd.scoring.significance.p_values import holm


def analyze(systems: Sequence[System], evidence: Evidence, costs: Mapping[str, Costs]) -> list[SystemResult]:
    """Compute the result of each system, in their order.

    Args:
        systems: systems with their roles.
        evidence: errors of the same systems.
        costs: costs of the systems that were measured, by name.
    """
    teacher, baseline = (_of_role(systems, role) for role in (TEACHER, BASELINE))
    against = error_maps(baseline) if baseline else []
    results = []
    for system in systems:
        result = _result(system, evidence, costs.get(system.name))
        if baseline and system is not baseline:
            difference = _difference(system, baseline, evidence, against)
            saved = share(evidence, _gain(baseline, system), {baseline.name: 1.0})
            result = replace(result, difference=difference, saved_share=saved)
        if baseline and teacher and system.role == STUDENT:
            closed = share(evidence, _gain(baseline, system), _gain(baseline, teacher))
            result = replace(result, gap_share=closed)
        results.append(result)
    return _corrected(results)


def share(evidence: Evidence, part: dict[str, float], whole: dict[str, float]) -> Share | None:
    """Compute the ratio of two weighted sums of error rates.

    Args:
        evidence: errors of the systems.
        part: weights by system of the sum in the numerator.
        whole: weights by system of the sum in the denominator.

    Returns:
        The ratio; None if the 95 % interval of the denominator includes 0, since the ratio is then undefined.
    """
    of_whole, of_part = evidence.estimate(whole), evidence.estimate(part)
    if of_whole is None or of_part is None or of_whole.interval.low <= 0:
        return None
    above, below = evidence.replicates(part), evidence.replicates(whole)
    if above is not None and below is not None and below.min() > 0:
        interval = expanded_percentile(above / below, evidence.words.size)
    else:
        bounded = fieller(evidence.terms(part), evidence.terms(whole), evidence.words)
        if bounded is None:
            return None
        interval = bounded
    return Share(of_part.value / of_whole.value, interval)


def _gain(baseline: System, system: System) -> dict[str, float]:
    """Return the weights of the baseline's error rate minus that of the system."""
    return {baseline.name: 1.0, system.name: -1.0}


def _of_role(systems: Sequence[System], role: str) -> System | None:
    return next((system for system in systems if system.role == role), None)


def _result(system: System, evidence: Evidence, costs: Costs | None) -> SystemResult:
    """Summarize a system without comparing it."""
    rates = [run.score.counts.wer for run in system.runs]
    rate = evidence.estimate({system.name: 1.0})
    seconds = [run.train_seconds for run in system.runs if run.train_seconds is not None]
    return SystemResult(
        name=system.name,
        role=system.role,
        runs=[_run(run) for run in system.runs],
        wer=mean(rates),
        wer_std=stdev(rates) if len(rates) > 1 else None,
        interval=rate.interval if rate and rate.value > 0 else None,
        difference=None,
        saved_share=None,
        gap_share=None,
        params=system.runs[0].params,
        weight_bytes=system.runs[0].weight_bytes,
        train_seconds=mean(seconds) if seconds else None,
        costs=costs,
    )


def _run(run: ScoredRun) -> Run:
    return Run(
        seed=run.seed,
        score=str(run.score.path),
        model=str(run.model) if run.model else None,
        wer=run.score.counts.wer,
        errors=run.score.counts.errors,
        train_seconds=run.train_seconds,
    )


def _difference(
    system: System, baseline: System, evidence: Evidence, against: Sequence[ErrorMap]
) -> Difference:
    """Compare the system with the baseline; p values are not yet corrected."""
    tested = matched_pairs(error_maps(system), against)
    mapsswe = MatchedPairsTest(tested.num_segments, tested.z, tested.p, tested.p, tested.uniform_difference)
    difference = evidence.estimate({system.name: 1.0, baseline.name: -1.0})
    if difference is None:
        means = (mean(run.score.counts.wer for run in each.runs) for each in (system, baseline))
        return Difference(next(means) - next(means), None, None, None, None, None, mapsswe)
    return Difference(
        value=difference.value,
        interval=difference.interval,
        p=difference.p,
        p_holm=difference.p,
        probability_of_improvement=difference.probability_below_zero,
        smallest=smallest_difference(difference.contrast) if difference.contrast.std_error else None,
        mapsswe=mapsswe,
    )


def _corrected(results: Sequence[SystemResult]) -> list[SystemResult]:
    """Apply Holm's correction over the students to the p values of both tests."""
    students = {
        result.name: result.difference
        for result in results
        if result.role == STUDENT and result.difference is not None
    }
    of_mapsswe = dict(zip(students, holm([each.mapsswe.p for each in students.values()]), strict=True))
    p_values = {name: each.p for name, each in students.items() if each.p is not None}
    of_blocks = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    corrected = []
    for result in results:
        difference = students.get(result.name)
        if difference is not None:
            mapsswe = replace(difference.mapsswe, p_holm=of_mapsswe[result.name])
            difference = replace(difference, mapsswe=mapsswe, p_holm=of_blocks.get(result.name))
            result = replace(result, difference=difference)
        corrected.append(result)
    return corrected
