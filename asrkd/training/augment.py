"""What is done to the features of a training cut: recorded noise, then masks.

Targets are of the clean cut; the student sees it noisy and masked, as in
MVQ-KD's recipe. Time is never warped, or stored frames would not fit.

Letters: T feature frames, F features.
"""

import math
from collections.abc import Sequence

import torch
from lhotse import MonoCut
from lhotse.dataset.signal_transforms import SpecAugment
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.randomness import seeded
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import feature_config, load_features
from asrkd.models.config import FeatureConfig
from asrkd.training.config import AugmentConfig, NoiseConfig, SpecAugmentConfig


class Augmentation:
    """Augments features by a function of (seed, epoch, cut id) alone."""

    def __init__(self, config: AugmentConfig, seed: int) -> None:
        """Prepare.

        Args:
            config: what to do; parts that are None are left out.
            seed: of the run.

        Raises:
            AsrkdError: the noise cuts cannot be used.
        """
        self.seed = seed
        self._noise = None if config.noise is None else NoiseMixer(config.noise)
        self._masks = None if config.specaugment is None else FeatureMasks(config.specaugment)

    def __call__(self, features: Tensor, cut_id: str, epoch: int) -> Tensor:
        """Augmented copy (T, F) of (T, F) features; AsrkdError if noise cannot be read or does not fit."""
        with seeded(self.seed, "augment", epoch, cut_id):
            if self._noise is not None:
                features = self._noise(features)
            if self._masks is not None:
                features = self._masks(features)
        return features


class FeatureMasks:
    """SpecAugment without time warp (Park et al., arXiv:1904.08779, section 2), for any number of frames.

    lhotse's fails where no frame mask is wanted, or the utterance is too short for one.
    """

    def __init__(self, config: SpecAugmentConfig) -> None:
        """Prepare the masks that ``config`` describes."""
        self.config = config
        most = max(config.num_frame_masks, 1)
        self._both = self._masks(most, config.frame_mask_size, config.max_frame_share)
        self._bands = self._masks(1, 1, 1.0)  # lhotse draws widths below the size: this frame mask has none

    def __call__(self, features: Tensor) -> Tensor:
        """Masked copy of (T, F) features; draws from Python's and torch's global generators."""
        frames = self.config.max_frame_share * len(features)  # that may be masked, as lhotse counts them
        num_masks = min(self.config.num_frame_masks, math.ceil(frames / self.config.frame_mask_size))
        has_room = num_masks > 0 and frames >= num_masks
        masked: Tensor = (self._both if has_room else self._bands)(features[None])[0]
        return masked

    def _masks(self, num_frame_masks: int, frame_mask_size: int, max_frame_share: float) -> SpecAugment:
        return SpecAugment(
            time_warp_factor=None,
            num_feature_masks=self.config.num_feature_masks,
            features_mask_size=self.config.feature_mask_size,
            num_frame_masks=num_frame_masks,
            frames_mask_size=frame_mask_size,
            max_frames_mask_fraction=max_frame_share,
            p=self.config.probability,
        )


def verify_noise(config: AugmentConfig, features: FeatureConfig) -> None:
    """Raise AsrkdError unless the noise cuts, if there are any, have ``features`` like the training cuts."""
    if config.noise is None:
        return
    found = feature_config(read_cuts(config.noise.cuts), str(config.noise.cuts))
    if found != features:
        raise AsrkdError(
            f"{config.noise.cuts}: noise has {found.num_features} features at {found.sampling_rate} Hz, the "
            f"training cuts {features.num_features} at {features.sampling_rate} Hz; prepare both alike"
        )


class NoiseMixer:
    """Adds recorded noise to log-mel features at a random signal-to-noise ratio."""

    def __init__(self, config: NoiseConfig) -> None:
        """Read the noise cuts; AsrkdError if they have no features."""
        self.config = config
        self.cuts: Sequence[MonoCut] = read_cuts(config.cuts)
        feature_config(self.cuts, str(config.cuts))

    def __call__(self, features: Tensor) -> Tensor:
        """Noisy copy of (T, F) features, or by chance these alone; draws from torch's global generator.

        Raises:
            AsrkdError: noise cannot be read, or has other features.
        """
        if float(torch.rand(())) >= self.config.probability:
            return features
        noise = load_features(self.cuts[int(torch.randint(len(self.cuts), ()))])
        if noise.shape[1] != features.shape[1]:
            raise AsrkdError(
                f"{self.config.cuts}: noise has {noise.shape[1]} features a frame, "
                f"the training cuts {features.shape[1]}; prepare both alike"
            )
        repeats = math.ceil(2 * len(features) / len(noise))
        noise = noise.repeat(repeats, 1)
        start = int(torch.randint(len(noise) - len(features) + 1, ()))
        low, high = self.config.snr_db
        snr_db = low + (high - low) * float(torch.rand(()))
        return mix(features, noise[start : start + len(features)], snr_db)


def mix(speech: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Log-mel energies (T, F) of speech and noise together, their energies summed.

    Args:
        speech: (T, F) natural-log energies.
        noise: (T, F) likewise; scaled so that the mean energy of speech is
            ``snr_db`` decibels above that of noise.
        snr_db: signal-to-noise ratio in decibels.
    """
    ratio = speech.double().exp().mean() / noise.double().exp().mean()
    log_gain = float(ratio.log()) - snr_db * math.log(10) / 10
    return torch.logaddexp(speech, noise + log_gain)
