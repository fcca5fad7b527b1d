"""Latency of scored systems: delays of the words that they recognize, against true times of words.

Seeds of a system are pooled. Differences are of the same words, in models of the same seed if both systems
have the same seeds, else in all pairs of models; intervals are over the blocks of the comparison.

Notation: U utterances, W correct words of a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from asrkd.evaluation.compare.delays import DelayDifference, Delays, DelaySummary, Latency
from asrkd.evaluation.compare.evidence import BLOCKS, Resampling, score_edits
from asrkd.evaluation.compare.systems import System
from asrkd.scoring.edits import DELETION, HIT, INSERTION
from asrkd.scoring.score_folder import ScoredUtterance, ScoreFolder
from asrkd.scoring.significance.bootstrap import (
    Interval,
    Numbers,
    block_sums,
    bootstrap_error,
    can_be_resampled,
    resample,
    t_interval,
)
from asrkd.scoring.word_times import Times

Word = tuple[int, int]  # number of the utterance, number of the word in its reference
EMISSION, CHUNK = "emission", "chunk"


@dataclass(frozen=True)
class RunDelays:
    """Delays of a run in seconds: of each correct word, and by utterance of its first and its last token."""

    words: dict[Word, float]
    first: dict[int, float]
    last: dict[int, float]


def measure_latency(
    systems: Sequence[System], baseline: str | None, resampling: Resampling
) -> dict[str, Latency]:
    """Measure the delays of the systems whose scores have times of words, by name.

    Args:
        systems: scored systems.
        baseline: name of the baseline, if there is one.
        resampling: blocks and replicates of the intervals.
    """
    utterances = systems[0].runs[0].score.utterances
    blocks = _Blocks([BLOCKS[resampling.blocks](utterance) for utterance in utterances], resampling)
    by_kind = {
        kind: {system.name: runs for system in systems if (runs := _runs(system, kind)) is not None}
        for kind in (EMISSION, CHUNK)
    }
    delays = {
        kind: {name: _delays(list(runs.values()), blocks) for name, runs in of_kind.items()}
        for kind, of_kind in by_kind.items()
    }
    for kind, of_kind in by_kind.items():
        for name in of_kind:
            if baseline is not None and baseline in of_kind and name != baseline:
                difference = _difference(of_kind[name], of_kind[baseline], blocks)
                delays[kind][name] = replace(delays[kind][name], difference=difference)
    return {name: Latency(emission, delays[CHUNK].get(name)) for name, emission in delays[EMISSION].items()}


def _runs(system: System, kind: str) -> dict[int, RunDelays] | None:
    """Return the delays of each seed of a system; None if a seed has none of this kind."""
    runs = {run.seed: run_delays(run.score, kind) for run in system.runs}
    return runs if all(run.words for run in runs.values()) else None


def run_delays(score: ScoreFolder, kind: str = EMISSION) -> RunDelays:
    """Return the delays of a score; empty where it has no times of this kind.

    Args:
        score: the score.
        kind: ``emission``, or ``chunk`` with the wait for the end of the chunk.
    """
    delays = RunDelays({}, {}, {})
    if not any(_emitted(utterance, kind) for utterance in score.utterances):
        return delays
    for number, (utterance, edits) in enumerate(zip(score.utterances, score_edits(score), strict=True)):
        emitted, spoken = _emitted(utterance, kind), utterance.word_times
        if emitted is None or spoken is None:
            continue
        for word, place in correct_words(edits):
            delays.words[number, word] = emitted[place][1] - spoken[word][1]
            if word == 0:
                delays.first[number] = emitted[place][0] - spoken[word][0]
            if word == len(spoken) - 1:
                delays.last[number] = emitted[place][1] - spoken[word][1]
    return delays


def _emitted(utterance: ScoredUtterance, kind: str) -> Times | None:
    if utterance.emission is None:
        return None
    return utterance.emission.times if kind == EMISSION else utterance.emission.chunk_times


def correct_words(edits: str) -> list[tuple[int, int]]:
    """Return the numbers of the words of reference and hypothesis that an alignment has as correct."""
    pairs, word, place = [], 0, 0
    for edit in edits:
        if edit == HIT:
            pairs.append((word, place))
        word += edit != INSERTION
        place += edit != DELETION
    return pairs


class _Blocks:
    """Blocks of the utterances, over which means of words are resampled."""

    def __init__(self, names: Sequence[str], resampling: Resampling) -> None:
        self._names, self._resampling = names, resampling

    def interval(self, utterances: Sequence[int], values: Numbers) -> Interval | None:
        """Compute the interval of the mean of (W,) values of words of (W,) utterances.

        Returns:
            The t interval with the standard error of the bootstrap; None if fewer than two blocks have words.
        """
        size, numbers = len(self._names), np.asarray(utterances)
        totals = np.bincount(numbers, weights=values, minlength=size)
        counts = np.bincount(numbers, minlength=size).astype(np.float64)
        sums = block_sums(np.stack([totals, counts]), self._names, self._resampling.seed)
        if not can_be_resampled(sums[1]):
            return None
        of_values, of_counts = resample(sums, self._resampling.seed, self._resampling.num_replicates)
        num_blocks = sums.shape[1]
        error = bootstrap_error(of_values / of_counts, num_blocks)
        return t_interval(float(values.mean()), error, num_blocks - 1)


def _delays(runs: Sequence[RunDelays], blocks: _Blocks) -> Delays:
    words = [(utterance, delay) for run in runs for (utterance, _), delay in run.words.items()]
    first = [pair for run in runs for pair in run.first.items()]
    last = [pair for run in runs for pair in run.last.items()]
    return Delays(
        _summary(words, blocks),
        _summary(first, blocks) if first else None,
        _summary(last, blocks) if last else None,
    )


def _summary(delays: Sequence[tuple[int, float]], blocks: _Blocks) -> DelaySummary:
    """Summarize pairs of utterance and delay."""
    values = np.array([delay for _, delay in delays])
    median, p90, p95 = np.quantile(values, [0.5, 0.9, 0.95]).tolist()
    interval = blocks.interval([utterance for utterance, _ in delays], values)
    return DelaySummary(len(values), float(values.mean()), interval, median, p90, p95)


def _difference(
    runs: Mapping[int, RunDelays], against: Mapping[int, RunDelays], blocks: _Blocks
) -> DelayDifference | None:
    """Compare the delays of the words that are correct in both; None if there are none."""
    pairs = zip(runs, runs, strict=True) if runs.keys() == against.keys() else product(runs, against)
    differences = [
        (word[0], delay - against[other].words[word])
        for seed, other in pairs
        for word, delay in runs[seed].words.items()
        if word in against[other].words
    ]
    if not differences:
        return None
    values = np.array([difference for _, difference in differences])
    interval = blocks.interval([utterance for utterance, _ in differences], values)
    return DelayDifference(len(values), float(values.mean()), interval)
