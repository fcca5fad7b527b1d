"""AdamW and the schedule of its learning rate over phases and epochs."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property

import torch
from torch import nn

from asrkd.training.config import OptimConfig, PhaseConfig


class PhaseSchedule:
    """Phases of a run, one after another.

    A pass over the cuts counts as many updates as its first plan has; later
    plans may have a batch or two more or less, so a length in epochs is exact
    in updates and approximate in passes.
    """

    def __init__(self, phases: Sequence[PhaseConfig], count_pass: Callable[[], int]) -> None:
        """Keep the phases; ``count_pass``, called only if needed, counts the updates of a pass."""
        self._phases, self._count_pass = phases, count_pass
        self.steps = [phase.steps or self._in_updates(phase) for phase in phases]

    @property
    def total(self) -> int:
        """Updates over all phases."""
        return sum(self.steps)

    def place(self, phase: int, phase_step: int) -> tuple[int, int]:
        """Return (updates made, all updates) of the current schedule.

        A schedule extends over phases that follow one another without restart.
        """
        first = last = phase
        while first > 0 and not self._phases[first].restart:
            first -= 1
        while last + 1 < len(self.steps) and not self._phases[last + 1].restart:
            last += 1
        return sum(self.steps[first:phase]) + phase_step, sum(self.steps[first : last + 1])

    def epochs(self, phase: int, phase_step: int) -> int:
        """Count the completed epochs of the current schedule.

        An epoch has the passes over the cuts that its phase has.
        """
        done = Fraction(phase_step, self._phases[phase].passes_per_epoch)
        while phase > 0 and not self._phases[phase].restart:
            phase -= 1
            done += Fraction(self.steps[phase], self._phases[phase].passes_per_epoch)
        return int(done / self._per_pass)

    @cached_property
    def _per_pass(self) -> int:
        return self._count_pass()

    def _in_updates(self, phase: PhaseConfig) -> int:
        """Convert the length of a phase from ``epochs`` to updates."""
        return max(1, round((phase.epochs or 0) * phase.passes_per_epoch * self._per_pass))


def make_optimizer(named: dict[str, nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """Build AdamW over the named parameters, with weight decay on matrices alone.

    Biases and norms have one dimension and are not decayed, as is common
    practice (Loshchilov and Hutter, arXiv:1711.05101, leave it open).
    """
    matrices = [parameter for parameter in named.values() if parameter.dim() > 1]
    vectors = [parameter for parameter in named.values() if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-9)


def learning_rate(step: int, total_steps: int, config: OptimConfig, epochs: int = 0) -> float:
    """Compute the learning rate of update number ``step``.

    Linear warm-up, peak rate for ``hold_share`` of the steps left, decay by
    ``schedule`` to ``final_lr`` over ``decay_share`` of the rest, then ``final_lr``.
    In an exponential schedule the distance to ``final_lr`` is multiplied by
    ``epoch_factor`` after each epoch, epochs of the warm-up included, whatever the
    number of steps.

    Args:
        step: number of the update, from 0.
        total_steps: updates until the end of the schedule.
        config: settings of the optimizer.
        epochs: epochs completed since the schedule began; used by exponential schedules alone.
    """
    warmup = config.warmup(total_steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.epoch_factor is not None:
        return _above_final(config.epoch_factor**epochs, config)
    left = max(total_steps - warmup, 1)
    held = left * config.hold_share
    falling = max((left - held) * config.decay_share, 1.0)
    progress = min(max((step - warmup - held) / falling, 0.0), 1.0)
    return _above_final(_remaining(progress, config.schedule), config)


def _above_final(remaining: float, config: OptimConfig) -> float:
    """Return the rate at which ``remaining`` of the distance from peak to final rate is left."""
    return config.lr * (config.final_lr + (1 - config.final_lr) * remaining)


def _remaining(progress: float, schedule: str) -> float:
    """Return the share of the distance from peak to final rate that is left, from 1 down to 0."""
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress if schedule == "linear" else 1.0
