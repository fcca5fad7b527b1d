"""Training a direct-sum quantizer on frames of embeddings.

Source: Guo et al., arXiv:2211.00508, section 2, and the settings of the
``multi_quantization`` package: two phases (small codebooks, then their
products), one or two refinements a step, Adam.

Departures: the centers are not learned by gradient but solved for, by least
squares over the indexes of recent batches; only the classifiers see Adam.
Data are centered by their true mean and brought to unit size first.

What was tried, N = 8, D = 96: relative error of 1,500 held-out frames after
5 refinements, against CPU seconds on one thread of a busy machine (so good
as ratios only). The frames, 200,000, were 11 log-mel frames of LibriSpeech
through a fixed random network; one seed. The last two rows were measured on
2,000 other frames of the same data; residual k-means alone has no classifiers
and was refined from its own greedy indexes.

    all by Adam, as the package does     270 + 130 steps   50 s   0.174
      and least squares at the end                         63 s   0.146
    all by Adam                          600 + 150 steps  121 s   0.144
      and least squares at the end                        127 s   0.140
    residual k-means, nothing else                          6 s   0.156
      and 8 rounds of least squares                        77 s   0.155
      or Adam from there on              400 steps         74 s   0.153
    centers by least squares (this)      200 + 100 steps   48 s   0.136
                                         150 + 150 steps   39 s   0.134
      the default                        200 + 200 steps   59 s   0.132
      twice the second phase               200 + 400 steps   90 s   0.129

With N = 4 all by Adam (300 + 150 steps) reached 0.234 in 30 s, the default
0.220 in 19 s. Residual k-means is quick but leaves codebooks of ever less
weight, which neither refinement nor more training makes good, and which
classifiers can hardly tell from the whole frame (0.37 unrefined, against 0.26).

A step's first indexes are the classifiers', not a beam's as in encoding, which
they could not predict. With 100 + 100 steps and N = 8 the error as encoded was
0.422 so, 0.427 with beams of 16 in both phases and 0.424 in the second alone
(synthetic, D = 256), and 0.0976 against 0.1001 and 0.1000 (the demo's teacher,
D = 96). Only in the last quarter of phase two, when the classifiers are done,
do beams settle the centers: with 200 + 200 steps 0.4170 against 0.4173, and
0.0898 against 0.0908.

In phase two the ridge of the least squares draws toward zero, as 2,048 entries
of N = 8 are many for few frames: of 48,000 of them and 500 + 500 steps the
error on others was 0.4113 with a ridge of 4 frames toward the present
centers, 0.4110 with 8 toward zero, 0.4100 with settling too (synthetic, D = 256).

Letters: F frames in all, B of a batch, N codebooks, K entries, D dimensions.
"""

import math

import torch
from torch import Tensor

from asrkd.core import faults
from asrkd.core.errors import AsrkdError
from asrkd.core.progress import Meter
from asrkd.core.stopping import StopRequest
from asrkd.quantizer.direct_sum import SCALE_SPEED, DirectSumQuantizer, check_finite
from asrkd.quantizer.fit.checkpoint import QuantizerCheckpoint
from asrkd.quantizer.fit.learner import QuantizerLearner
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.report import QuantizerReport, measure

MOST_HELD_OUT = 2_000  # frames; they are encoded with every number of refinements


def train_quantizer(
    frames: Tensor,
    options: QuantizerOptions,
    *,
    stop: StopRequest | None = None,
    meter: Meter | None = None,
    checkpoint: QuantizerCheckpoint | None = None,
) -> tuple[DirectSumQuantizer, QuantizerReport]:
    """A quantizer for embeddings like ``frames``, and how well it does on those held out.

    The same frames, options and number of torch threads give the same bits,
    whether it is made at once or goes on from a checkpoint; torch's global
    random state is neither used nor changed.

    Args:
        frames: (F, D), float, finite; on the device to train on.
        options: what to make.
        stop: asked after every step.
        meter: advanced by one every step; its note is the relative error of the batch.
        checkpoint: gone on from, if it holds a state of the same options; written
            at the end of each phase, every half a minute, and at a stop.

    Raises:
        AsrkdError: too few frames, all of them equal, or one with a NaN or an infinity.
        ValueError: ``frames`` have another number of axes.
        StoppedInTime: ``stop`` asked for it.
    """
    if frames.dim() != 2:
        raise ValueError(f"expected frames (F, D), got {tuple(frames.shape)}")
    check_enough(len(frames), options)
    check_finite(frames)
    generator = torch.Generator().manual_seed(options.seed)
    shuffled = frames[torch.randperm(len(frames), generator=generator).to(frames.device)].float()
    num_held_out = min(math.ceil(options.held_out_share * len(frames)), MOST_HELD_OUT)
    held_out, training = shuffled[:num_held_out], shuffled[num_held_out:]
    mean = training.double().mean(dim=0).float()
    size = _root_mean_square(training - mean)
    learner = _begun((training - mean) / size, options, generator, checkpoint)
    if meter is not None:
        meter.advance(learner.step)
    while not learner.is_done:
        error = learner.advance()
        faults.strike("step")
        if meter is not None:
            meter.advance(note=f"relative error {error:.3f}")
        _keep(learner, options, checkpoint, stop)
    quantizer = learner.quantizer()
    with torch.no_grad():
        quantizer.mean.copy_(mean)
        quantizer.centers_scale.add_(math.log(size) / SCALE_SPEED)
        quantizer.logits_scale.sub_(math.log(size) / SCALE_SPEED)
    return quantizer, measure(quantizer, held_out, training)


def _begun(
    frames: Tensor,
    options: QuantizerOptions,
    generator: torch.Generator,
    checkpoint: QuantizerCheckpoint | None,
) -> QuantizerLearner:
    """A learner before its first step, or where the checkpoint left off."""
    state, draws = checkpoint.load() if checkpoint is not None else None, generator.get_state()
    learner = QuantizerLearner(frames, options, generator)
    if state is not None:
        try:
            learner.restore(state)
        except (KeyError, RuntimeError, ValueError):  # not one of this training: begin anew
            generator.set_state(draws)
            return QuantizerLearner(frames, options, generator)
    return learner


def _keep(
    learner: QuantizerLearner,
    options: QuantizerOptions,
    checkpoint: QuantizerCheckpoint | None,
    stop: StopRequest | None,
) -> None:
    """Write a checkpoint where it is time, and stop where that is asked."""
    reason = stop.reason() if stop is not None else None
    ends = (options.phase_one_steps, options.steps)  # of the phases; to measure the quantizer takes a while
    if checkpoint is not None and (reason or checkpoint.is_due or learner.step in ends):
        checkpoint.save(learner.state())
    if stop is not None and reason:
        stop.check(
            "the unfinished quantizer is not kept"
            if checkpoint is None
            else f"the quantizer is at step {learner.step} of {options.steps}"
        )


def check_enough(num_frames: int, options: QuantizerOptions) -> None:
    """Raise AsrkdError unless so many frames are enough to learn from."""
    least = 2 * options.codebook_size
    if num_frames < least:
        raise AsrkdError(
            f"quantizer: {num_frames} frames, expected at least {least} for codebooks of "
            f"{options.codebook_size} entries; give --cuts with more speech"
        )


def _root_mean_square(centered: Tensor) -> float:
    size = float(centered.double().square().mean().sqrt())
    if not size > 0:
        raise AsrkdError("quantizer: all frames are equal; is the teacher trained, and --layer right?")
    return size
