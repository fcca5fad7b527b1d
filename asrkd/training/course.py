"""How long a run's phases are in updates, and where in its schedule an update lies."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property

from asrkd.training.config import PhaseConfig


class Course:
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
