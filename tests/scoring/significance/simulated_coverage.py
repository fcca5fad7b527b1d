"""How often the intervals hold the truth, and how often the tests cry wolf, by simulation.

Usage:   python -m tests.scoring.significance.simulated_coverage      (half a minute)
"""

import numpy as np

from asrkd.scoring.significance.bootstrap import (
    block_sums,
    bootstrap_error,
    rate_interval,
    resample,
    t_interval,
)
from asrkd.scoring.significance.contrast import ContrastTerm, contrast
from tests.scoring.significance.simulated import FIRST, seeds_of_equals, two_systems

REPLICATES = 2000


def coverage(num_speakers: int, trials: int, seed: int) -> dict[str, float]:
    """The share of trials whose 95 % interval holds the true value: of the difference, and of an error rate.

    'plain' is the percentile interval of the difference.
    """
    rng = np.random.default_rng(seed)
    held = {"difference": 0, "rate": 0, "plain": 0}
    for trial in range(trials):
        values, truth, speakers = two_systems(rng, num_speakers)
        sums = block_sums(values, speakers, seed=1)
        first, second, words = resample(sums, trial, REPLICATES)
        difference = (first - second) / words
        low, high = np.quantile(difference, [0.025, 0.975])
        held["plain"] += bool(low <= truth <= high)
        first_errors, second_errors, all_words = sums.sum(axis=1)
        value = (first_errors - second_errors) / all_words
        found = t_interval(value, bootstrap_error(difference, num_speakers), num_speakers - 1)
        held["difference"] += bool(found.low <= truth <= found.high)
        error = bootstrap_error(first / words, num_speakers)
        found = rate_interval(first_errors / all_words, error, num_speakers - 1)
        held["rate"] += bool(found.low <= FIRST <= found.high)
    return {name: count / trials for name, count in held.items()}


def false_alarms(num_seeds: int, num_speakers: int, trials: int, seed: int) -> dict[str, float]:
    """The share of trials in which equal recipes differ at 5 %.

    'seeds' takes several trainings for what they are; 'one seed' looks at the
    first of them and at its speakers alone.
    """
    rng = np.random.default_rng(seed)
    alarms = {"seeds": 0, "one seed": 0}
    for _ in range(trials):
        first, second, words = seeds_of_equals(rng, num_seeds, num_speakers, spread=0.08)
        for name, count in (("seeds", num_seeds), ("one seed", 1)):
            numbers = tuple(range(count))
            terms = [ContrastTerm(1.0, first[:count], numbers), ContrastTerm(-1.0, second[:count], numbers)]
            alarms[name] += contrast(terms, words).p() < 0.05
    return {name: count / trials for name, count in alarms.items()}


def main() -> None:
    """Print both."""
    print("coverage of 95 % intervals (2,000 trials; plain: percentiles, of the difference)")
    for num_speakers in (40, 20, 10, 5):
        found = coverage(num_speakers, 2000, seed=1)
        print(f"{num_speakers:4} speakers  " + "  ".join(f"{k} {100 * v:.1f} %" for k, v in found.items()))
    print("false alarms at 5 % (4,000 trials, 20 speakers; one seed: other trainings are not thought of)")
    for num_seeds in (2, 3, 5):
        found = false_alarms(num_seeds, 20, 4000, seed=1)
        print(f"{num_seeds:4} seeds     " + "  ".join(f"{k} {100 * v:.1f} %" for k, v in found.items()))


if __name__ == "__main__":
    main()
