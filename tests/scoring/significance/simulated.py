"""Systems whose true error rates are known, scored on speakers, and on seeds, that really differ."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIRST, SECOND = 0.085, 0.100  # the true error rates
SPREAD = 0.6  # of log error rates between speakers: one in six has nearly twice the middle one's
SHARED = 0.8  # correlation of the two systems' rates over speakers


def two_systems(rng: np.random.Generator, num_speakers: int) -> tuple[Array, Array, list[str]]:
    """Errors of both systems and words by utterance, (3, U), the difference of the rates, and the speakers.

    Rates are log-normal over speakers, whose means are FIRST and SECOND. A
    speaker has 8 to 32 utterances of 2 to 14 words.
    """
    one, other = rng.normal(size=(2, num_speakers))
    logs = np.stack([one, SHARED * one + sqrt(1 - SHARED**2) * other])  # (2, speakers)
    rates = np.array([[FIRST], [SECOND]]) * np.exp(SPREAD * logs - SPREAD**2 / 2)
    speaker = np.repeat(np.arange(num_speakers), rng.integers(8, 33, size=num_speakers))
    words = rng.integers(2, 15, size=speaker.size).astype(float)
    errors = rng.poisson(rates[:, speaker] * words).astype(float)
    return np.concatenate([errors, words[None]]), np.array(FIRST - SECOND), [f"s{s}" for s in speaker]


def seeds_of_equals(
    rng: np.random.Generator, num_seeds: int, num_speakers: int, spread: float
) -> tuple[Array, Array, Array]:
    """Errors of two recipes of equal merit, (S, B) each, and (B,) words.

    A training is worth a log-normal factor of its own (``spread``, of the
    logarithm), and another on each speaker of half that spread.
    """
    words = rng.integers(50, 150, size=num_speakers).astype(float)
    of_speaker = rng.normal(0, SPREAD, size=num_speakers)
    recipes = []
    for _ in range(2):
        own = rng.normal(0, 0.2, size=num_speakers)  # what the recipe makes of a speaker
        of_seed = rng.normal(0, spread, size=(num_seeds, 1))
        mixed = rng.normal(0, spread / 2, size=(num_seeds, num_speakers))
        recipes.append(rng.poisson(0.2 * np.exp(of_speaker + own + of_seed + mixed) * words).astype(float))
    return recipes[0], recipes[1], words
