"""Noisy copies of cuts for a teacher to decode, so that it makes errors that it does not make on clean audio.

The targets still belong to the clean cut; the student's own augmentation is
separate. The noise of a cut is a function of (seed, cut id).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lhotse import MonoCut
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.randomness import seeded
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import cuts_digest
from asrkd.data.features.noise import NoiseConfig, NoiseMixer, verify_noise
from asrkd.data.features.reading import FeatureConfig, load_features


@dataclass(frozen=True)
class Noise:
    """Settings of added noise: noise cuts, ratio, seed; AsrkdError if the ratio's bounds are swapped."""

    cuts: Path  # manifest of noise cuts, with the features of the cuts to decode
    snr_db: tuple[float, float] = (0.0, 10.0)  # lowest and highest signal-to-noise ratio, in dB
    seed: int = 1

    def __post_init__(self) -> None:
        if self.snr_db[0] > self.snr_db[1]:
            raise AsrkdError(
                f"--noise-snr-db {self.snr_db[0]:g} {self.snr_db[1]:g}: expected the lowest ratio first"
            )

    @property
    def settings(self) -> NoiseConfig:
        """The settings of :class:`asrkd.data.features.noise.NoiseMixer`, with noise for every cut."""
        return NoiseConfig(cuts=self.cuts, probability=1.0, snr_db=self.snr_db)

    def verify(self, features: FeatureConfig) -> None:
        """Raise AsrkdError unless the noise has ``features``."""
        verify_noise(self.settings, features)

    def contract(self) -> dict[str, Any]:
        """Return the noise as a store's contract records it."""
        return {
            "cuts": cuts_digest(read_cuts(self.cuts)),
            "snr_db": list(self.snr_db),
            "seed": self.seed,
            "drawn_by": "(seed, cut id)",
        }


def noise_of(cuts: Path | None, snr_db: tuple[float, float] | None, seed: int | None) -> Noise | None:
    """Build the noise of ``--noise``, ``--noise-snr-db`` and ``--noise-seed``; None without ``--noise``.

    Raises:
        AsrkdError: ratio or seed without noise cuts, or the lowest ratio is not first.
    """
    options: dict[str, Any] = {"snr_db": snr_db, "seed": seed}
    options = {name: value for name, value in options.items() if value is not None}
    if cuts is not None:
        return Noise(cuts, **options)
    for name in options:
        raise AsrkdError(f"--noise-{name.replace('_', '-')}: has no effect without --noise; add --noise CUTS")
    return None


class NoisyCopies:
    """Reader of the features of noisy copies."""

    def __init__(self, noise: Noise) -> None:
        """Read the noise cuts' manifest."""
        self._noise, self._mix = noise, NoiseMixer(noise.settings)

    def __call__(self, cut: MonoCut) -> Tensor:
        """Compute the (T, F) features of a cut's noisy copy, the same each time.

        Raises:
            AsrkdError: features of the cut or of the noise cannot be read.
        """
        with seeded(self._noise.seed, "noisy copy", cut.id):
            return self._mix(load_features(cut))


@lru_cache(maxsize=1)
def noisy_copies(noise: Noise) -> NoisyCopies:
    """Return the reader for ``noise``; cached, as worker processes need it at every shard."""
    return NoisyCopies(noise)
