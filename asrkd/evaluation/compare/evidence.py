"""Errors of all systems as arrays, summed over blocks and resampled, with the same blocks for all.

Notation: U utterances, B blocks, S seeds of a system, R replicates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.systems import ScoredRun, System
from asrkd.scoring.edits import HIT, error_map
from asrkd.scoring.score_folder import ScoredUtterance, ScoreFolder, named_as_speakers
from asrkd.scoring.significance.bootstrap import (
    NUM_REPLICATES,
    Interval,
    Numbers,
    block_sums,
    bootstrap_error,
    can_be_resampled,
    probability_below_zero,
    rate_interval,
    resample,
    t_interval,
)
from asrkd.scoring.significance.contrast import ContrastTerm, Estimate, contrast
from asrkd.scoring.significance.matched_pairs import ErrorMap
from asrkd.scoring.units import units
from asrkd.scoring.word_alignment import align_many

BLOCKS: dict[str, Callable[[ScoredUtterance], str]] = {
    "speaker": lambda utterance: utterance.speaker,
    "recording": lambda utterance: utterance.recording,
    "utterance": lambda utterance: utterance.id,
}


@dataclass(frozen=True)
class Resampling:
    """Settings of the bootstrap; AsrkdError if the blocks are unknown or the seed is negative."""

    blocks: str = "speaker"  # or recording, or utterance
    num_replicates: int = NUM_REPLICATES
    seed: int = 1

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.blocks not in BLOCKS:
            raise AsrkdError(f"--blocks {self.blocks}: expected one of {', '.join(BLOCKS)}")
        if self.seed < 0:
            raise AsrkdError(f"--seed {self.seed}: expected 0 or more")


@dataclass(frozen=True)
class RateEstimate:
    """Estimate of a weighted sum of error rates, with its interval and a test against 0."""

    value: float
    interval: Interval
    p: float  # two-sided
    probability_below_zero: float
    contrast: Estimate


class Evidence:
    """Errors of systems by block and seed, with bootstrap replicates: the evidence for their differences."""

    def __init__(self, systems: Sequence[System], resampling: Resampling) -> None:
        """Sum errors over blocks, and resample these if there are at least two."""
        utterances = systems[0].runs[0].score.utterances
        words = [[utterance.counts.num_words for utterance in utterances]]
        runs = [run for system in systems for run in system.runs]
        values = np.array([*(_errors(run, sum(words[0])) for run in runs), *words], np.float64)
        names = [BLOCKS[resampling.blocks](utterance) for utterance in utterances]
        sums = block_sums(values, names, resampling.seed)
        self.num_blocks = len(set(names))
        self.blocks = _blocks_of(resampling.blocks, utterances)
        self.words: Numbers = sums[-1]  # (B,)
        self._terms: dict[str, ContrastTerm] = {}
        first = 0
        for system in systems:
            last = first + len(system.runs)
            seeds = tuple(run.seed for run in system.runs)
            self._terms[system.name] = ContrastTerm(1.0, sums[first:last], seeds)
            first = last
        self.can_be_resampled = can_be_resampled(self.words)
        self._rates: dict[str, Numbers] = {}  # (R,) of the mean over seeds
        if self.can_be_resampled:
            means = [self._terms[system.name].errors.mean(axis=0) for system in systems]
            totals = resample(np.stack([*means, self.words]), resampling.seed, resampling.num_replicates)
            rates = totals[:-1] / totals[-1]
            self._rates = {system.name: rate for system, rate in zip(systems, rates, strict=True)}

    def terms(self, weights: dict[str, float]) -> list[ContrastTerm]:
        """Return the terms of a contrast with (S, B) errors each, given weights by system."""
        parts = [(weight, self._terms[name]) for name, weight in weights.items()]
        return [ContrastTerm(weight, term.errors, term.seeds) for weight, term in parts]

    def replicates(self, weights: dict[str, float]) -> Numbers | None:
        """Return (R,) replicates of a weighted sum of rates; None if a system has several seeds."""
        if any(len(self._terms[name].seeds) > 1 for name in weights):
            return None
        return sum((weight * self._rates[name] for name, weight in weights.items()), np.zeros(1))

    def estimate(self, weights: dict[str, float]) -> RateEstimate | None:
        """Estimate a weighted sum of rates, by system; None if there are fewer than two blocks.

        The standard error is that of the bootstrap if every system has one seed, else that of seeds crossed
        with blocks. A single rate, of weight 1, has the interval of a rate.
        """
        if not self.can_be_resampled:
            return None
        estimate = contrast(self.terms(weights), self.words)
        replicates = self.replicates(weights)
        if replicates is None:
            error, degrees = estimate.std_error, estimate.degrees
            below = estimate.probability_below_zero()
        else:
            error, degrees = bootstrap_error(replicates, self.words.size), self.words.size - 1
            below = probability_below_zero(replicates)
        make_interval = rate_interval if list(weights.values()) == [1.0] else t_interval
        interval = make_interval(estimate.value, error, degrees)
        return RateEstimate(estimate.value, interval, estimate.p(), below, estimate)


def _blocks_of(blocks: str, utterances: Sequence[ScoredUtterance]) -> str:
    """Name the blocks as far as known: no speakers if none is known, no recordings of one utterance each."""
    known = named_as_speakers(utterances) if blocks == "speaker" else blocks
    if known == "recording" and len({utterance.recording for utterance in utterances}) == len(utterances):
        return "utterance"
    return known


def error_maps(system: System) -> list[ErrorMap]:
    """Map the errors of each seed of a system, in the alignment of its score."""
    return [error_map(score_edits(run.score)) for run in system.runs]


def score_edits(score: ScoreFolder) -> list[str]:
    """Return the edits of each utterance; those without errors or with a network need no alignment."""
    wrong = [each for each in score.utterances if each.counts.errors and each.network is None]
    pairs = [(units(each.reference, score.unit), units(each.hypothesis, score.unit)) for each in wrong]
    edits = dict(zip((each.id for each in wrong), align_many(pairs, score.alignment), strict=True))
    return [
        edits.get(each.id, HIT * each.counts.hits) if each.network is None else each.network.item_edits()
        for each in score.utterances
    ]


def _errors(run: ScoredRun, num_words: int) -> list[float]:
    """Return the (U,) errors of each utterance, scaled to references of ``num_words`` words.

    If references have alternatives, their lengths differ slightly between systems; the scaled errors keep the
    rate of each system.
    """
    share = num_words / run.score.counts.num_words
    return [utterance.counts.errors * share for utterance in run.score.utterances]
