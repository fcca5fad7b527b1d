"""Settling of a training: whether the dev curve still falls, and how far the learning rate fell.

A line is fitted to the validations in the last third of the last phase. Of more than five, the means of five
runs of neighbors are fitted, as validations near each other are not independent: their weights are averages
of overlapping snapshots. The fall is significant if a one-sided t test of the slope is, of WER and of loss at
half of 5 % each, and counts from 2 % of the value that it starts from.

Of simulated flat curves with independent noise, 5 % are called falling by one of the two tests; of those that
fall by six times the noise of a validation, 97 % with 12 validations in the last third, 64 % with 4
(tests/evaluation/compare/test_settling.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asrkd.scoring.significance.p_values import t_cdf

MIN_VALIDATIONS = 4  # in the last third; fewer leave no estimate of the noise
MAX_GROUPS = 5
ALPHA = 0.05  # for the two curves together
SMALLEST_FALL = 0.02  # smallest fall that counts, as a share of the value it starts from
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


def fit_trend(points: Sequence[tuple[int, float]]) -> Trend | None:
    """Fit a line to (step, value) points; None if there are fewer than :data:`MIN_VALIDATIONS`."""
    if len(points) < MIN_VALIDATIONS:
        return None
    groups = np.array_split(np.array(points, np.float64), min(MAX_GROUPS, len(points)))
    steps, values = np.array([group.mean(axis=0) for group in groups]).T  # (G,) each
    centered = steps - steps.mean()
    slope = float(centered @ values / (centered @ centered))
    degrees = len(groups) - 2
    residuals = values - values.mean() - slope * centered
    std_error = math.sqrt(float(residuals @ residuals) / degrees / float(centered @ centered))
    first, last = points[0][0], points[-1][0]
    start = float(values.mean()) + slope * (first - float(steps.mean()))
    p = t_cdf(slope / std_error, degrees) if std_error else float(slope >= 0)  # 0: all on one line
    return Trend(len(points), start, -slope * (last - first), p)


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
