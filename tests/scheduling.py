"""How workers share the tests (``-n 2 --dist loadgroup``), and how long one may take that is not slow."""

import os
from collections.abc import Generator
from typing import Any

import pytest

MOST_SECONDS = 20.0  # of CPU, for a test that is not marked slow

# Groups run on one worker, one test after the other. The tests of a file are a group, so that fixtures of
# modules are made once. Other groups are those below, by the beginning of the path; a test of a file in
# ALONE is a group by itself. Heavy ones begin first, so that no worker is left with one at the end.
GROUPS = {
    "tests/slurm/": "slurm",  # one cluster
    "tests/evaluation/costs/": "measured",  # time and memory: not beside each other
    "tests/pipeline/test_score_transcripts.py": "measured",
}
ALONE = ("tests/pipeline/test_stages.py",)
FIRST = (
    "tests/slurm/",
    "tests/pipeline/test_stages.py",
    "tests/pipeline/test_demo.py",
    "tests/pipeline/test_train_processes.py",
    "tests/pipeline/test_score_transcripts.py",
    "tests/evaluation/costs/",
    "tests/pipeline/test_train_kills.py",
    "tests/pipeline/test_distill_parts.py",
    "tests/targets/store/test_shard_parts.py",
    "tests/evaluation/report/test_chromium.py",
    "tests/pipeline/test_prepare.py",
    "tests/commands/",
    "tests/fuzz/",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--in-full``, for ``make prove``."""
    parser.addoption("--in-full", action="store_true", help="all trials of the simulations, not a share")


def group_of(nodeid: str) -> str:
    """The name of the group of a test."""
    path = nodeid.partition("::")[0]
    if path in ALONE:
        return nodeid
    return next((group for start, group in GROUPS.items() if path.startswith(start)), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A scheduler that goes by :func:`group_of`, without adding a group's name to the names of its tests."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # as they were collected, see below
    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Heavy groups begin first where workers share the tests."""
    if hasattr(config, "workerinput"):
        places = {start: place for place, start in enumerate(FIRST)}
        items.sort(
            key=lambda item: next((p for s, p in places.items() if item.nodeid.startswith(s)), len(places))
        )


def _cpu_seconds() -> float:
    """CPU time of this process, and of its children that have ended and were waited for."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that takes long and is not marked slow: ``make quick`` is for those that take seconds.

    By CPU time, its children's included: on a machine with other work, or beside another worker, the clock
    shows several times as much, and waiting costs nobody anything.
    """
    before = _cpu_seconds()
    result = yield
    seconds = _cpu_seconds() - before
    if seconds > MOST_SECONDS and item.get_closest_marker("slow") is None:
        pytest.fail(f"took {seconds:.0f} s of CPU: mark it slow, or make it quicker", pytrace=False)
    return result
