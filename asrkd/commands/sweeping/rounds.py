"""Rounds of a sweep: which settings are trained until where, as a function of what is on disk.

Without halving there is one round, in which every run is trained to its end. A rung adds a round before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asrkd.commands.sweeping.grid import Grid, Run, Setting
from asrkd.commands.sweeping.halving import better_half, rung_step
from asrkd.commands.sweeping.measures import quality
from asrkd.commands.sweeping.progress import Progress, read_progress, require_validation


@dataclass(frozen=True)
class Lengths:
    """Updates of a run, and the interval of its validations."""

    total: int
    validation: int


@dataclass(frozen=True)
class Round:
    """Settings that are in a round, and the step until which each of their runs is trained."""

    number: int  # from 0
    settings: tuple[Setting, ...]
    until: dict[Path, int | None]  # by folder of the run; None: to its end


class Standing:
    """Progress of all runs of a sweep, read from disk once, and the rounds that follow from it."""

    def __init__(self, out: Path, grid: Grid, rungs: Sequence[float], lengths: dict[Path, Lengths]) -> None:
        """Read the progress of the runs in ``out``.

        Args:
            out: folder of the sweep.
            grid: settings and seeds.
            rungs: shares of the updates at which settings are halved.
            lengths: lengths of the runs, by folder; not needed without rungs.
        """
        self.out, self.grid, self.rungs, self.lengths = out, grid, rungs, lengths
        self.progress = {run.folder: read_progress(out / run.folder) for run in grid.runs}

    @cached_property
    def rounds(self) -> list[Round]:
        """The rounds until the present one: the first with a run that is left, or the last."""
        settings, rounds = list(self.grid.settings), []
        for number in range(len(self.rungs) + 1):
            present = self._round(number, settings)
            rounds.append(present)
            if number == len(self.rungs) or self.left(present):
                break
            alive = [setting for setting in settings if not self.has_diverged(setting)]
            kept = better_half({setting.name: quality(self._at(setting, present)) for setting in alive})
            settings = [setting for setting in alive if setting.name in kept]
        return rounds

    @property
    def present(self) -> Round:
        """The round that is being trained; of a finished sweep the last."""
        return self.rounds[-1]

    @property
    def is_over(self) -> bool:
        """Whether every run is trained as far as it is meant to be."""
        return self.present.number == len(self.rungs) and not self.left(self.present)

    def left(self, of: Round) -> list[Run]:
        """Return the runs of a round that have something left to do, in the order of the grid."""
        runs = [run for setting in of.settings for run in self.grid.runs_of(setting)]
        return [run for run in runs if not self.progress[run.folder].has_reached(of.until[run.folder])]

    def has_diverged(self, setting: Setting) -> bool:
        """Return whether a run of the setting has diverged."""
        return any(progress.state == "diverged" for progress in self.of(setting))

    def of(self, setting: Setting) -> list[Progress]:
        """Return the progress of the runs of a setting."""
        return [self.progress[run.folder] for run in self.grid.runs_of(setting)]

    def dropped_in(self, setting: Setting) -> int | None:
        """Return the number of the round after which halving dropped the setting; None if it did not."""
        for earlier, later in zip(self.rounds, self.rounds[1:], strict=False):
            if setting in earlier.settings and setting not in later.settings:
                return None if self.has_diverged(setting) else earlier.number
        return None

    def _round(self, number: int, settings: Sequence[Setting]) -> Round:
        runs = [run for setting in settings for run in self.grid.runs_of(setting)]
        return Round(number, tuple(settings), {run.folder: self._until(run, number) for run in runs})

    def _until(self, run: Run, number: int) -> int | None:
        if number == len(self.rungs):
            return None
        lengths = self.lengths[run.folder]
        return rung_step(self.rungs[number], lengths.total, lengths.validation)

    def _at(self, setting: Setting, of: Round) -> list[dict[str, object]]:
        """Return the validation records of a setting's runs at the end of a round."""
        records = []
        for run in self.grid.runs_of(setting):
            progress, until = self.progress[run.folder], of.until[run.folder]
            if until is not None:
                require_validation(self.out / run.folder, progress.validations, until)
            records.append(progress.last if until is None else progress.validations[until])
        return records
