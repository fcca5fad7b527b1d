"""AdamW and the course of its learning rate."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property

import torch
from torch import nn

from asrkd.training.config import OptimConfig, PhaseConfig


class PhaseSchedule:
    """The phases of a run, one after another.

    A pass over the cuts counts as many updates as its first plan makes; later
    plans may make a batch or two more or less, so lengths that are given in
    epochs are exact in updates and nearly so in passes.
    """

    def __init__(self, phases: Sequence[PhaseConfig], count_pass: Callable[[], int]) -> None:
        """Take the phases; ``count_pass`` gives the updates of a pass, asked for only where they matter."""
        self._phases, self._count_pass = phases, count_pass
        self.steps = [phase.steps or self._in_updates(phase) for phase in phases]

    @property
    def total(self) -> int:
        """Updates over all phases."""
        return sum(self.steps)

    def place(self, phase: int, phase_step: int) -> tuple[int, int]:
        """(updates made, updates in all) of the schedule in force, that of phases joined without restart."""
        first = last = phase
        while first > 0 and not self._phases[first].restart:
            first -= 1
        while last + 1 < len(self.steps) and not self._phases[last + 1].restart:
            last += 1
        return sum(self.steps[first:phase]) + phase_step, sum(self.steps[first : last + 1])

    def epochs(self, phase: int, phase_step: int) -> int:
        """Whole epochs over since the schedule in force began, an epoch being what it is in each phase."""
        done = Fraction(phase_step, self._phases[phase].passes_per_epoch)
        while phase > 0 and not self._phases[phase].restart:
            phase -= 1
            done += Fraction(self.steps[phase], self._phases[phase].passes_per_epoch)
        return int(done / self._per_pass)

    @cached_property
    def _per_pass(self) -> int:
        return self._count_pass()

    def _in_updates(self, phase: PhaseConfig) -> int:
        """The length of a phase of ``epochs``."""
        return max(1, round((phase.epochs or 0) * phase.passes_per_epoch * self._per_pass))


def make_optimizer(named: dict[str, nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the named parameters; weight decay on matrices alone.

    Biases and norms have one dimension: decaying them shrinks what they are
    there to set (Loshchilov and Hutter, arXiv:1711.05101, leave it open;
    this is the common practice).
    """
    matrices = [parameter for parameter in named.values() if parameter.dim() > 1]
    vectors = [parameter for parameter in named.values() if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-9)


def learning_rate(step: int, total_steps: int, config: OptimConfig, epochs: int = 0) -> float:
    """The rate of update number ``step``.

    Linear warm-up, full rate for ``hold_share`` of what is left, ``schedule``
    down to ``final_lr`` over ``decay_share`` of the rest, and ``final_lr`` to the end.
    Where it is exponential the way to ``final_lr`` is ``epoch_factor`` times as long after
    each epoch, those of the warm-up counted: it is the same for any number of steps.

    Args:
        step: counted from 0.
        total_steps: updates until the end of the schedule.
        config: of the optimizer.
        epochs: that are over since the schedule began; it is asked of exponential ones alone.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.epoch_factor is not None:
        return _above_final(config.epoch_factor**epochs, config)
    left = max(total_steps - config.warmup_steps, 1)
    held = left * config.hold_share
    falling = max((left - held) * config.decay_share, 1.0)
    progress = min(max((step - config.warmup_steps - held) / falling, 0.0), 1.0)
    return _above_final(_remaining(progress, config.schedule), config)


def _above_final(remaining: float, config: OptimConfig) -> float:
    """The rate where this share of the way from top to bottom is still to go."""
    return config.lr * (config.final_lr + (1 - config.final_lr) * remaining)


def _remaining(progress: float, schedule: str) -> float:
    """Share of the way from top to bottom still to go, 1 at the start and 0 at the end."""
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress if schedule == "linear" else 1.0
