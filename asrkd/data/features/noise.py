"""Recorded noise mixed into log-mel features at a signal-to-noise ratio.

Notation: T feature frames, F features.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from lhotse import MonoCut
from pydantic import Field, model_validator
from torch import Tensor

from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import FeatureConfig, feature_config, load_features


class NoiseConfig(Section):
    """Config of recorded noise, mixed into features at a random level."""

    cuts: Path  # manifest of noise cuts with features of the same type as the training cuts
    probability: float = Field(0.5, ge=0, le=1)
    snr_db: tuple[float, float] = (10.0, 20.0)  # lowest and highest signal-to-noise ratio

    @model_validator(mode="after")
    def _in_order(self) -> "NoiseConfig":
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db {list(self.snr_db)}: expected the lowest first")
        return self


def verify_noise(config: NoiseConfig, features: FeatureConfig) -> None:
    """Raise AsrkdError unless the noise cuts have ``features``, those of the training cuts."""
    noise = feature_config(read_cuts(config.cuts), str(config.cuts))
    if noise != features:
        raise AsrkdError(
            f"{config.cuts}: noise has {noise.num_features} features at {noise.sampling_rate} Hz, the "
            f"training cuts {features.num_features} at {features.sampling_rate} Hz; prepare both alike"
        )


class NoiseMixer:
    """Mixer of recorded noise into log-mel features at a random signal-to-noise ratio."""

    def __init__(self, config: NoiseConfig) -> None:
        """Read the noise cuts; AsrkdError if they have no features."""
        self.config = config
        self.cuts: Sequence[MonoCut] = read_cuts(config.cuts)
        feature_config(self.cuts, str(config.cuts))

    def __call__(self, features: Tensor) -> Tensor:
        """Return a noisy copy of (T, F) features, or by chance the features, by torch's global generator.

        Raises:
            AsrkdError: the noise cannot be read, or has features of another type.
        """
        if float(torch.rand(())) >= self.config.probability:
            return features
        noise = load_features(self.cuts[int(torch.randint(len(self.cuts), ()))])
        if noise.shape[1] != features.shape[1]:
            raise AsrkdError(
                f"{self.config.cuts}: noise has {noise.shape[1]} features per frame, "
                f"the training cuts {features.shape[1]}; prepare both alike"
            )
        repeats = math.ceil(2 * len(features) / len(noise))
        noise = noise.repeat(repeats, 1)
        start = int(torch.randint(len(noise) - len(features) + 1, ()))
        low, high = self.config.snr_db
        snr_db = low + (high - low) * float(torch.rand(()))
        return mix(features, noise[start : start + len(features)], snr_db)


def mix(speech: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Mix log-mel energies (T, F) of speech and noise by adding their energies.

    Args:
        speech: (T, F) natural-log energies.
        noise: (T, F) natural-log energies, scaled so that the mean energy of speech is
            ``snr_db`` decibels above that of noise.
        snr_db: signal-to-noise ratio in decibels.
    """
    ratio = speech.double().exp().mean() / noise.double().exp().mean()
    log_gain = float(ratio.log()) - snr_db * math.log(10) / 10
    return torch.logaddexp(speech, noise + log_gain)
