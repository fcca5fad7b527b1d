"""Settling of a training: whether the dev curve still falls, and how far the learning rate fell.

A line is fitted to the validations in the last third of the last phase; of more than five, to the means of
five runs of neighbors. Validations near each other are not independent, as their weights are averages of
overlapping snapshots: the error of the slope allows for the snapshots that two of them share, with the
degrees of freedom by Satterthwaite. The fall is significant if a one-sided t test of the slope is, of WER and
of loss at half of 5 % each, and counts from 2 % of the value that it starts from.

Of simulated flat curves 2 to 5 % are called falling by one of the two tests, however much neighbors share; of
those that fall by six times the noise of a validation, 97 % with 12 validations in the last third that share
nothing, 64 % with 4 (tests/evaluation/compare/test_settling.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asrkd.scoring.significance.bootstrap import Numbers
from asrkd.scoring.significance.p_values import t_cdf

MIN_VALIDATIONS = 4  # in the last third; fewer leave no estimate of the noise
MAX_GROUPS = 5
ALPHA = 0.05  # for the two curves together
SMALLEST_FALL = 0.02  # smallest fall that counts, as a share of the value it starts from
TINY = 1e-9  # expected squared residuals of validations that all are of the same snapshots
AT_END = 0.1  # largest share of the way from peak to final learning rate that may be left at the end


@dataclass(frozen=True)
class Trend:
    """Line through the validations of the last third: a WER as a fraction, or a loss in nats per token."""

    num_validations: int
    start: float  # fitted value at the first of them
    fall: float  # fitted, from the first to the last; negative: a rise
    p: float  # one-sided, of a slope of 0 or above

    @property
    def is_falling(self) -> bool:
        """Whether the fall is significant and large enough to count."""
        return self.p < ALPHA / 2 and self.fall >= SMALLEST_FALL * self.start


def last_third(curve: Sequence[tuple[int, float]], begin: int, end: int) -> list[tuple[int, float]]:
    """Return the (step, value) points in the last third of the steps from ``begin`` to ``end``."""
    first = end - (end - begin) / 3
    return [(step, value) for step, value in curve if step >= first]


def fit_trend(points: Sequence[tuple[int, float]], averaging: tuple[int, int] = (1, 1)) -> Trend | None:
    """Fit a line to (step, value) points; None if there are fewer than :data:`MIN_VALIDATIONS`.

    Args:
        points: the validations.
        averaging: updates between two snapshots, and the number of snapshots that a validation averages.
    """
    if len(points) < MIN_VALIDATIONS:
        return None
    all_steps, all_values = np.array(points, np.float64).T  # (N,) each
    groups = _groups(len(points))
    steps, values = groups @ all_steps, groups @ all_values  # (G,) each
    centered = steps - steps.mean()
    slope = float(centered @ values / (centered @ centered))
    start = float(values.mean()) + slope * (points[0][0] - float(steps.mean()))
    residuals = values - values.mean() - slope * centered
    covariance = groups @ _shared_snapshots(all_steps, *averaging) @ groups.T  # but for the noise's variance
    p = _p_of_slope(slope, centered, residuals, covariance)
    return Trend(len(points), start, -slope * (points[-1][0] - points[0][0]), p)


def _groups(number: int) -> Numbers:
    """Return the (G, N) weights whose products with N values are means of runs of neighbors."""
    runs = np.array_split(np.arange(number), min(MAX_GROUPS, number))
    weights = np.zeros((len(runs), number))
    for row, run in zip(weights, runs, strict=True):
        row[run] = 1 / len(run)
    return weights


def _shared_snapshots(steps: Numbers, every_steps: int, last: int) -> Numbers:
    """Return the (N, N) shares of snapshots that the averages of two validations have in common."""
    newest = steps // every_steps
    shares: Numbers = np.maximum(0, last - np.abs(newest[:, None] - newest)) / last
    return shares


def _p_of_slope(slope: float, centered: Numbers, residuals: Numbers, covariance: Numbers) -> float:
    """Return the p value of a slope of 0 or above, given the (G, G) covariance in units of the variance."""
    norm = float(centered @ centered)
    number = len(centered)
    off_line = np.eye(number) - 1 / number - np.outer(centered, centered) / norm  # to residuals
    spread = off_line @ covariance
    expected = float(np.trace(spread))  # of the squared residuals
    if expected < TINY:
        return 1.0
    if not residuals.any():
        return float(slope >= 0)
    std_error = math.sqrt(float(residuals @ residuals) / expected * float(centered @ covariance @ centered))
    return t_cdf(slope * norm / std_error, expected**2 / float(np.trace(spread @ spread)))


@dataclass(frozen=True)
class ScheduleEnd:
    """State of the learning rate at the last update."""

    kind: str  # ended, unfinished, constant or warm-up: it was still rising
    share: float  # learning rate, as a share of its peak


def schedule_end(optim: dict[str, Any], last_lr: float, *, in_warmup: bool) -> ScheduleEnd | None:
    """Return the state of a schedule at its last update; None if the settings lack its keys.

    Args:
        optim: section ``optim`` of a config.
        last_lr: learning rate of the last update.
        in_warmup: whether that update was in the warm-up.
    """
    peak, final, name = (optim.get(key) for key in ("lr", "final_lr", "schedule"))
    if not isinstance(peak, (int, float)) or not isinstance(final, (int, float)) or peak <= 0:
        return None
    share = last_lr / peak
    if in_warmup:
        return ScheduleEnd("warm-up", share)
    if name == "constant":
        return ScheduleEnd("constant", share)
    left = (share - final) / (1 - final) if final < 1 else 0.0
    return ScheduleEnd("ended" if left <= AT_END else "unfinished", share)
