"""The two phases of training: small codebooks first, then their products.

Source and departures: see :mod:`asrkd.quantizer.training`.

Letters: F frames in all, B of a batch, N codebooks, K entries, D dimensions.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.least_squares import CenterStatistics
from asrkd.quantizer.losses import quantizer_losses
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.product import product_quantizer
from asrkd.quantizer.search import refine_rounds
from asrkd.quantizer.tables import dots_of


@dataclass(frozen=True)
class _Phase:
    steps: int
    learning_rate: float
    fade: float  # of the statistics, every step: about 1 / (1 - fade) batches count
    solve_every: int  # steps; to solve takes time of order (N K)^3
    ridge: float  # frames


@dataclass(frozen=True)
class _Batches:
    """Frames to train on, of mean zero and unit size, and the draws that are made of them."""

    frames: Tensor  # (F, D)
    batch_frames: int
    generator: torch.Generator

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        """(B, D) frames, and by how many passes their indexes are refined: 1 or 2, equally often."""
        while True:
            drawn = torch.randint(len(self.frames), (self.batch_frames,), generator=self.generator)
            passes = 1 + int(torch.randint(2, (), generator=self.generator))
            yield self.frames[drawn.to(self.frames.device)], passes


def train_phases(
    frames: Tensor,
    options: QuantizerOptions,
    generator: torch.Generator,
    after_step: Callable[[float], None],
) -> DirectSumQuantizer:
    """A quantiser of N codebooks of K entries for frames of mean zero and unit size.

    Args:
        frames: (F, D).
        options: sizes, steps and learning rate.
        generator: on the CPU; draws first parameters, batches and passes.
        after_step: called with the relative error of each batch.
    """
    batches = _Batches(frames, options.batch_frames, generator)
    rate = options.learning_rate
    # Indexes change quickly in phase one: there a memory of 0.98 gave an error of 0.154 against 0.150.
    first = _Phase(options.phase_one_steps, rate, fade=0.95, solve_every=5, ridge=2.0)
    second = _Phase(options.phase_two_steps, rate / 2, fade=0.99, solve_every=25, ridge=4.0)
    quantizer = _random_quantizer(frames, options, generator)
    _run(quantizer, first, batches, after_step)
    quantizer = product_quantizer(quantizer)
    _run(quantizer, second, batches, after_step)
    return quantizer.eval().requires_grad_(False)


def _random_quantizer(
    frames: Tensor, options: QuantizerOptions, generator: torch.Generator
) -> DirectSumQuantizer:
    """2 N codebooks of sqrt(K) entries: classifiers as torch would, but seeded; centres equal to them."""
    dim = frames.shape[1]
    quantizer = DirectSumQuantizer(dim, 2 * options.num_codebooks, math.isqrt(options.codebook_size))
    with torch.no_grad():
        for parameter in (quantizer.to_logits.weight, quantizer.to_logits.bias):
            parameter.uniform_(-(dim**-0.5), dim**-0.5, generator=generator)
        quantizer.centers.copy_(quantizer.to_logits.weight.view_as(quantizer.centers))
    return quantizer.to(frames.device)


def _run(
    quantizer: DirectSumQuantizer, phase: _Phase, batches: _Batches, after_step: Callable[[float], None]
) -> None:
    """Adam for the classifiers, least squares for the centres."""
    classifiers = [*quantizer.to_logits.parameters(), quantizer.logits_scale]
    optimizer = torch.optim.Adam(classifiers, lr=phase.learning_rate, betas=(0.9, 0.98), eps=1e-9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(1, phase.steps // 4), gamma=0.5)
    statistics = CenterStatistics(quantizer.centers.detach())
    quantizer.centers.requires_grad_(False)
    quantizer.centers_scale.requires_grad_(False)
    for step, (frames, passes) in zip(range(1, phase.steps + 1), batches, strict=False):
        indexes = _refined(quantizer, frames, passes)
        losses = quantizer_losses(quantizer, frames, indexes)
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        optimizer.step()
        schedule.step()
        statistics.fade(phase.fade)
        statistics.add(frames, indexes)
        if step % phase.solve_every == 0 or step == phase.steps:
            quantizer.centers.copy_(statistics.solve(quantizer.centers, phase.ridge))
        after_step(float(losses.relative_error))


@torch.no_grad()
def _refined(quantizer: DirectSumQuantizer, frames: Tensor, passes: int) -> Tensor:
    """Indexes (B, N) after so many passes from what the classifiers propose."""
    dots = dots_of(frames, quantizer.scaled_centers())
    indexes = quantizer.logits(frames).argmax(dim=-1)
    return refine_rounds(dots, quantizer.tables(), indexes, passes)[0][-1].long()
