"""How many trials a simulation has: a share of them in the suite, all with ``--in-full`` (``make prove``)."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

SHARE = 0.3  # finds an interval that holds the truth in 87 % of trials where 95 % are wanted


@dataclass(frozen=True)
class Trials:
    """Number of trials, and how far below its bound a coverage may be because they are fewer than all."""

    count: int
    slack: float


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Callable[[int], Trials]:
    """``trials(500)``: of a simulation that has 500 in full."""

    def share_of(all_trials: int) -> Trials:
        if request.config.getoption("in_full"):
            return Trials(all_trials, 0.0)
        count = int(SHARE * all_trials)
        return Trials(count, 2 * (0.95 * 0.05 / count) ** 0.5)  # two standard errors

    return share_of
