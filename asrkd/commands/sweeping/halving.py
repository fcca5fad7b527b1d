"""Successive halving: at each rung the better half of the settings goes on, the others stop there.

Jamieson and Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization (AISTATS,
arXiv:1502.07943), with a factor of 2. Departures: rungs are shares of a run's updates, at its nearest
validation, and a run goes on from its checkpoint under the schedule of its full length, so that a setting
that stays is trained exactly as without halving.
"""

import re
from collections.abc import Mapping, Sequence

from asrkd.commands.sweeping.measures import Quality
from asrkd.core.errors import AsrkdError

DEFAULT_RUNGS = (0.25, 0.5)


def parse_rungs(halve: bool, halve_at: str | None) -> tuple[float, ...]:
    """Parse the shares of the updates at which settings are halved; none without halving.

    Args:
        halve: whether to halve at :data:`DEFAULT_RUNGS`.
        halve_at: shares with commas between them, instead.

    Raises:
        AsrkdError: both, or not increasing numbers between 0 and 1.
    """
    if halve_at is None:
        return DEFAULT_RUNGS if halve else ()
    if halve:
        raise AsrkdError(f"--halve: no effect with --halve-at {halve_at}; remove it")
    parts = halve_at.split(",")
    if all(re.fullmatch(r"\s*\d*\.?\d+\s*", part) for part in parts):
        shares = tuple(map(float, parts))
        if all(a < b for a, b in zip((0.0, *shares), (*shares, 1.0), strict=True)):
            return shares
    raise AsrkdError(f"--halve-at {halve_at}: expected increasing shares between 0 and 1, such as 0.25,0.5")


def rung_step(share: float, total_steps: int, every_steps: int) -> int | None:
    """Return the validated step nearest to a share of a run's updates; None if that is the run's end."""
    step = max(round(share * total_steps / every_steps), 1) * every_steps
    return step if step < total_steps else None


def better_half(qualities: Mapping[str, Quality]) -> list[str]:
    """Return the names of the better half, rounded up, in the order given.

    Args:
        qualities: quality of each setting at the rung, in the order of the grid, which breaks ties.
    """
    best: Sequence[str] = sorted(qualities, key=lambda name: qualities[name].order)
    kept = set(best[: -(-len(best) // 2)])
    return [name for name in qualities if name in kept]
