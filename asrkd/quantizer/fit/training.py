"""Training of a direct-sum quantizer on frames of embeddings.

Source: Guo et al., arXiv:2211.00508, section 2, and the settings of the
``multi_quantization`` package: two phases (small codebooks, then their
products), one or two refinements a step, Adam.

Departures:

- The centers are not learned by gradient but solved for, by least squares
  over the indexes of recent batches (:mod:`asrkd.quantizer.fit.least_squares`);
  Adam trains the classifiers only. This reaches a lower error in less time
  than Adam on everything, and than residual k-means.
- Data are centered by their true mean and scaled to unit size first.
- A step's first indexes are the classifiers', not a beam's as in encoding:
  the classifiers cannot learn to predict indexes of a beam. Only the last
  quarter of phase two, which settles the centers, starts from a beam.
- In phase two the ridge of the least squares draws the centers toward zero,
  as few frames see each of the many entries.

Notation: F frames in all, B of a batch, N codebooks, K entries, D dimensions.
"""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd.core import faults, files
from asrkd.core.errors import AsrkdError
from asrkd.core.progress import Meter
from asrkd.core.stopping import StopRequest
from asrkd.quantizer.direct_sum import SCALE_SPEED, DirectSumQuantizer, check_finite
from asrkd.quantizer.fit.learner import QuantizerLearner
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.report import QuantizerReport, measure

MAX_HELD_OUT = 2_000  # frames; they are encoded with every number of refinements
CHECKPOINT_EVERY_S = 30.0
MAX_WRITE_SHARE = 0.05  # share of the run time for writing checkpoints: 2 GB of statistics for 64 codebooks
MAX_CHECKPOINT_S = 50.0  # between two checkpoints, however long they take: a kill costs less than a minute


@dataclass
class QuantizerCheckpoint:
    """Checkpoint file of a training, and the time when the next one is due.

    Attributes:
        path: a safetensors file, whole or absent.
        every_s: seconds between two checkpoints, up to MAX_CHECKPOINT_S if writing is slow; 0 writes one
            after every step.
    """

    path: Path
    every_s: float = CHECKPOINT_EVERY_S
    _due_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._due_at = time.monotonic() + self.every_s

    @property
    def is_due(self) -> bool:
        """Whether it is time to write a checkpoint."""
        return time.monotonic() >= self._due_at

    def save(self, state: dict[str, Tensor]) -> None:
        """Replace the checkpoint by ``state``, tensors of any shapes (...) by name."""
        started_at = time.monotonic()
        with files.create_aside(self.path) as partial:
            save_file(state, str(partial))
        took_s = time.monotonic() - started_at
        slow_s = min(took_s / MAX_WRITE_SHARE, MAX_CHECKPOINT_S) if self.every_s else 0.0
        self._due_at = started_at + max(self.every_s, slow_s)

    def load(self) -> dict[str, Tensor] | None:
        """Read the checkpoint, tensors (...) by name; None if there is none, or it is damaged."""
        try:
            return load_file(str(self.path)) if self.path.is_file() else None
        except (SafetensorError, ValueError, OSError):
            return None


def train_quantizer(
    frames: Tensor,
    options: QuantizerOptions,
    *,
    stop: StopRequest | None = None,
    meter: Meter | None = None,
    checkpoint: QuantizerCheckpoint | None = None,
) -> tuple[DirectSumQuantizer, QuantizerReport]:
    """Train a quantizer for embeddings like ``frames``; return it with its report on held-out frames.

    The same frames, options and number of torch threads give the same bits, with
    or without resuming from a checkpoint; torch's global random state is neither
    used nor changed.

    Args:
        frames: (F, D) embeddings, float, finite; on the device to train on.
        options: sizes, steps and learning rate.
        stop: request to stop, checked after every step.
        meter: progress meter, advanced by one every step; its note is the relative error of the batch.
        checkpoint: checkpoint to resume from, if it holds a state of the same options;
            written at the end of each phase, every half a minute, and at a stop.

    Raises:
        AsrkdError: too few frames, all frames equal, or a frame with a NaN or an infinity.
        ValueError: ``frames`` do not have two axes.
        StoppedInTime: a stop was requested.
    """
    if frames.dim() != 2:
        raise ValueError(f"expected frames (F, D), got {tuple(frames.shape)}")
    check_enough(len(frames), options)
    check_finite(frames)
    generator = torch.Generator().manual_seed(options.seed)
    shuffled = frames[torch.randperm(len(frames), generator=generator).to(frames.device)].float()
    num_held_out = min(math.ceil(options.held_out_share * len(frames)), MAX_HELD_OUT)
    held_out, training = shuffled[:num_held_out], shuffled[num_held_out:]
    mean = training.double().mean(dim=0).float()
    size = _root_mean_square(training - mean)
    learner = _resumed((training - mean) / size, options, generator, checkpoint)
    if meter is not None:
        meter.advance(learner.step)
    while not learner.is_done:
        error = learner.advance()
        faults.strike("step")
        if meter is not None:
            meter.advance(note=f"relative error {error:.3f}")
        _checkpoint_or_stop(learner, options, checkpoint, stop)
    quantizer = learner.quantizer()
    with torch.no_grad():
        quantizer.mean.copy_(mean)
        quantizer.centers_scale.add_(math.log(size) / SCALE_SPEED)
        quantizer.logits_scale.sub_(math.log(size) / SCALE_SPEED)
    return quantizer, measure(quantizer, held_out, training)


def _resumed(
    frames: Tensor,
    options: QuantizerOptions,
    generator: torch.Generator,
    checkpoint: QuantizerCheckpoint | None,
) -> QuantizerLearner:
    """Return a learner before its first step, or resumed from the checkpoint."""
    state, draws = checkpoint.load() if checkpoint is not None else None, generator.get_state()
    learner = QuantizerLearner(frames, options, generator)
    if state is not None:
        try:
            learner.restore(state)
        except (KeyError, RuntimeError, ValueError):  # a state of other options: start from nothing
            generator.set_state(draws)
            return QuantizerLearner(frames, options, generator)
    return learner


def _checkpoint_or_stop(
    learner: QuantizerLearner,
    options: QuantizerOptions,
    checkpoint: QuantizerCheckpoint | None,
    stop: StopRequest | None,
) -> None:
    """Write a checkpoint if it is due, and stop if requested."""
    reason = stop.reason() if stop is not None else None
    ends = (options.phase_one_steps, options.steps)  # ends of phases; the following measurement is slow
    if checkpoint is not None and (reason or checkpoint.is_due or learner.step in ends):
        checkpoint.save(learner.state())
    if stop is not None and reason:
        stop.check(
            "the unfinished quantizer is not saved"
            if checkpoint is None
            else f"the quantizer is at step {learner.step} of {options.steps}"
        )


def check_enough(num_frames: int, options: QuantizerOptions) -> None:
    """Raise AsrkdError unless there are enough frames to train on."""
    minimum = 2 * options.codebook_size
    if num_frames < minimum:
        raise AsrkdError(
            f"quantizer: {num_frames} frames, expected at least {minimum} for codebooks of "
            f"{options.codebook_size} entries; give --cuts with more speech"
        )


def _root_mean_square(centered: Tensor) -> float:
    size = float(centered.double().square().mean().sqrt())
    if not size > 0:
        raise AsrkdError("quantizer: all frames are equal; is the teacher trained, and --layer right?")
    return size
