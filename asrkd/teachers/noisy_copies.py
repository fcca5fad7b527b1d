"""Cuts as a teacher hears them in noise, so that it errs where on clean training audio it would not.

The targets are still of the clean cut: what a student gets beside them is up
to its own augmentation. The noise of a cut is a function of (seed, cut id).
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
    """Which noise, and how loud; AsrkdError if the lowest ratio is not given first."""

    cuts: Path  # noise cuts with features like those of the cuts
    snr_db: tuple[float, float] = (0.0, 10.0)  # lowest and highest signal-to-noise ratio
    seed: int = 1

    def __post_init__(self) -> None:
        if self.snr_db[0] > self.snr_db[1]:
            raise AsrkdError(
                f"--noise-snr-db {self.snr_db[0]:g} {self.snr_db[1]:g}: expected the lowest first"
            )

    @property
    def settings(self) -> NoiseConfig:
        """As augmentation has them; every cut gets noise."""
        return NoiseConfig(cuts=self.cuts, probability=1.0, snr_db=self.snr_db)

    def verify(self, features: FeatureConfig) -> None:
        """Raise AsrkdError unless the noise has ``features``."""
        verify_noise(self.settings, features)

    def flags(self) -> dict[str, Any]:
        """As the command line has it."""
        return {"noise": self.cuts, "noise_snr_db": list(self.snr_db), "noise_seed": self.seed}

    def contract(self) -> dict[str, Any]:
        """What a store says of it."""
        return {
            "cuts": cuts_digest(read_cuts(self.cuts)),
            "snr_db": list(self.snr_db),
            "seed": self.seed,
            "drawn_by": "(seed, cut id)",
        }


def noise_of(cuts: Path | None, snr_db: tuple[float, float] | None, seed: int | None) -> Noise | None:
    """The noise of command-line options, None where they are not given.

    Raises:
        AsrkdError: it is said how loud or which, and not of what; or the lowest ratio is not given first.
    """
    options = {"snr_db": snr_db, "seed": seed}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if cuts is not None:
        return Noise(cuts, **given)
    for name in given:
        raise AsrkdError(f"--noise-{name.replace('_', '-')}: has no effect without --noise; give noise cuts")
    return None


class NoisyCopies:
    """Reads the features of cuts in noise."""

    def __init__(self, noise: Noise) -> None:
        """Read the noise cuts."""
        self._noise, self._mix = noise, NoiseMixer(noise.settings)

    def __call__(self, cut: MonoCut) -> Tensor:
        """(T, F) features of a cut's noisy copy, the same each time; AsrkdError if either cannot be read."""
        with seeded(self._noise.seed, "noisy copy", cut.id):
            return self._mix(load_features(cut))


@lru_cache(maxsize=1)
def noisy_copies(noise: Noise) -> NoisyCopies:
    """What reads cuts in this noise; kept, as worker processes ask for it at every shard."""
    return NoisyCopies(noise)
