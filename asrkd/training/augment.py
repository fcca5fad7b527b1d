"""Augmentation of the features of training cuts: recorded noise, then masks.

Targets are of the clean cut; the student's input is noisy and masked, as in
MVQ-KD's recipe. Time is never warped, or stored frames would not fit.

Notation: T feature frames, F features.
"""

import math

from lhotse.dataset.signal_transforms import SpecAugment
from torch import Tensor

from asrkd.core.randomness import seeded
from asrkd.data.features.noise import NoiseMixer
from asrkd.training.data_config import AugmentConfig, SpecAugmentConfig


class Augmentation:
    """Augmentation of features, a function of (seed, epoch, cut id) alone."""

    def __init__(self, config: AugmentConfig, seed: int) -> None:
        """Read the noise cuts, and create the masks.

        Args:
            config: noise and masks; None disables a kind.
            seed: the run's seed.

        Raises:
            AsrkdError: the noise cuts cannot be used.
        """
        self.seed = seed
        self._noise = None if config.noise is None else NoiseMixer(config.noise)
        self._masks = None if config.specaugment is None else FeatureMasks(config.specaugment)

    def __call__(self, features: Tensor, cut_id: str, epoch: int) -> Tensor:
        """Return an augmented copy (T, F) of (T, F) features; AsrkdError if noise cannot be read or used."""
        with seeded(self.seed, "augment", epoch, cut_id):
            if self._noise is not None:
                features = self._noise(features)
            if self._masks is not None:
                features = self._masks(features)
        return features


class FeatureMasks:
    """SpecAugment without time warp (Park et al., arXiv:1904.08779, section 2), for any number of frames.

    A frame mask is limited to a share of the utterance, as in the adaptive policy of Park et al.,
    arXiv:1912.05533, section 2 (there 0.04): a mask of half a second is a pause of a long sentence, and a
    whole word of a short one. lhotse's SpecAugment fails with no frame mask, or on an utterance that is too
    short for one.
    """

    def __init__(self, config: SpecAugmentConfig) -> None:
        """Create the masks that ``config`` describes."""
        self.config = config
        num_frame_masks = max(config.num_frame_masks, 1)
        self._both = self._masks(num_frame_masks, config.frame_mask_size, config.max_frame_share)
        self._bands = self._masks(1, 1, 1.0)  # lhotse draws widths below 1: the frame mask is empty

    def __call__(self, features: Tensor) -> Tensor:
        """Return a masked copy of (T, F) features; draws from Python's and torch's global generators."""
        frames = self.config.max_frame_share * len(features)  # at most masked, as lhotse counts
        size = min(self.config.frame_mask_size, int(self.config.frame_mask_share * len(features)))
        num_masks = min(self.config.num_frame_masks, math.ceil(frames / max(size, 1)))
        has_room = size > 1 and num_masks > 0 and frames >= num_masks
        self._both.frames_mask_size = size
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
