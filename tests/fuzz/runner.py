"""The run of the fuzz: makes inputs, judges each, reduces and keeps those that fail, and counts by kind."""

import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import configs, corpora, models, scores, stores
from tests.fuzz.case import CASE, OUT, Case, Command, Target, make_case
from tests.fuzz.invocation import Outcome, invoke
from tests.fuzz.shared import make_shared
from tests.fuzz.verdict import Failure, blocked, judge, wrong_result

TARGETS: tuple[Target, ...] = (
    *corpora.TARGETS, *configs.TARGETS, *stores.TARGETS, *scores.TARGETS, *models.TARGETS
)  # fmt: skip
BY_NAME = {target.name: target for target in TARGETS}
MEMORY_BYTES = 4 << 30  # more than a process has: what an odd size may ask for
NOTE = "case.json"
_BEGAN = re.compile(r"^train [^:]*: \d+/", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What came of an input."""

    target: str
    ending: str  # accepted, refused, failed or skipped
    failure: Failure | None = None


@dataclass
class Tally:
    """Counts by kind, and what failed."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[tuple[int, Failure]] = field(default_factory=list)

    def add(self, number: int, verdict: Verdict) -> None:
        """Count an input."""
        self.counts.setdefault(verdict.target, Counter())[verdict.ending] += 1
        if verdict.failure is not None:
            self.failures.append((number, verdict.failure))

    def text(self) -> str:
        """A table of the counts, then a line for each cause of failures."""
        names = ("inputs", "accepted", "refused", "failed", "skipped")
        lines = [f"{'kind':<14}" + "".join(f"{name:>10}" for name in names)]
        total: Counter[str] = Counter()
        for target, count in self.counts.items():
            count["inputs"] = sum(count[name] for name in names[1:])
            total += count
            lines.append(f"{target:<14}" + "".join(f"{count[name]:>10}" for name in names))
        lines.append(f"{'all':<14}" + "".join(f"{total[name]:>10}" for name in names))
        causes = Counter(failure.signature for _, failure in self.failures)
        first = {failure.signature: number for number, failure in reversed(self.failures)}
        lines += [
            f"{count:>5} x {cause} (first: input {first[cause]})" for cause, count in causes.most_common()
        ]
        return "\n".join(lines)


@contextmanager
def workspace() -> Iterator[Path]:
    """A temporary working directory with the shared artifacts; memory for commands is bounded within."""
    before = Path.cwd()
    bounds = resource.getrlimit(resource.RLIMIT_AS)
    with tempfile.TemporaryDirectory(prefix="asrkd-fuzz-") as folder:
        os.chdir(folder)
        try:
            make_shared(Path(folder))
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, bounds[1]))
            yield Path(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, bounds)
            os.chdir(before)


def target_of(number: int) -> Target:
    """The kind of an input: all kinds take turns."""
    return TARGETS[number % len(TARGETS)]


def run_input(seed: int, number: int, keep: Path | None = None) -> Verdict:
    """Make, run and judge an input in a :func:`workspace`; a failing one is reduced and kept in ``keep``."""
    target = target_of(number)
    reason = target.skipped()
    if reason is not None:
        return Verdict(target.name, "skipped")
    case = make_case(target, seed, number)
    verdict = run_case(case, seed, number)
    if verdict.failure is not None and keep is not None:
        case, failure = _reduced(target, case, verdict.failure, seed, number)
        _keep(keep / f"{target.name}-{seed}-{number}", case, failure, seed, number)
    return verdict


def run_case(case: Case, seed: int | None = None, number: int | None = None) -> Verdict:
    """Run the commands of a case that is on disk, and judge them.

    With a seed and a number what a refusal left behind is tried on the input as it was before its mutations.
    """
    target = BY_NAME[case.target]
    outcomes: list[Outcome] = []
    for command in case.commands:
        outcome = invoke(command)
        failure = judge(outcome)
        if failure is not None:
            return Verdict(case.target, "failed", failure)
        if outcome.is_refusal:
            failure = None if seed is None or number is None else _left_behind(target, outcome, seed, number)
            return Verdict(case.target, "failed" if failure else "refused", failure)
        outcomes.append(outcome)
    problem = _inspected(target, outcomes)
    if problem is not None:
        return Verdict(case.target, "failed", wrong_result(outcomes[-1], problem))
    return Verdict(case.target, "accepted")


def _inspected(target: Target, outcomes: Sequence[Outcome]) -> str | None:
    try:
        return target.inspect(outcomes)
    except Exception as error:  # what was made cannot even be looked at
        return f"looking at it raised {error!r}"


def _left_behind(target: Target, outcome: Outcome, seed: int, number: int) -> Failure | None:
    """The failure if a refused command left an output folder that the right input cannot have."""
    if outcome.status not in (1, 2) or not OUT.is_dir() or not any(OUT.iterdir()):
        return None
    if _BEGAN.search(outcome.stderr):
        return None  # targets are read as they are needed, so a training may meet damage after it began
    aside = CASE.with_name("left")
    shutil.rmtree(aside, ignore_errors=True)
    CASE.rename(aside)  # the mutated input, should it be kept
    try:
        good = make_case(target, seed, number, only=())
        shutil.copytree(aside / OUT.name, OUT, symlinks=True)
        for command in good.commands:
            again = invoke(command)
            if again.error is not None or again.status not in (0, 75):
                return blocked(outcome, again)
        return None
    finally:
        shutil.rmtree(CASE, ignore_errors=True)
        aside.rename(CASE)


def _reduced(target: Target, case: Case, failure: Failure, seed: int, number: int) -> tuple[Case, Failure]:
    """The case with as few of its mutations as fail alike, on disk."""
    wanted = list(range(len(case.mutations)))
    for index in list(wanted) if len(wanted) > 1 else []:
        fewer = [other for other in wanted if other != index]
        verdict = run_case(make_case(target, seed, number, fewer), seed, number)
        if verdict.failure is not None and verdict.failure.signature == failure.signature:
            wanted = fewer
    return make_case(target, seed, number, wanted), failure


def _keep(folder: Path, case: Case, failure: Failure, seed: int, number: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CASE, folder / CASE.name, symlinks=True)
    described = {
        "target": case.target,
        "commands": case.commands,
        "mutations": case.mutations,
        "seed": seed,
        "number": number,
        "failure": vars(failure),
    }
    (folder / NOTE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def replay(folder: Path) -> Verdict:
    """Run an input that was kept, in a :func:`workspace`.

    Raises:
        OSError, ValueError, KeyError: the folder holds none.
    """
    described = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    shutil.rmtree(CASE, ignore_errors=True)
    shutil.copytree(folder / CASE.name, CASE, symlinks=True)
    commands: list[Command] = described["commands"]
    case = Case(described["target"], commands, described["mutations"])
    return run_case(case, described["seed"], described["number"])


def run_many(seed: int, numbers: Iterator[int], keep: Path | None, seconds: float | None = None) -> Tally:
    """Run inputs in a workspace until there are no more numbers or the time is over; how they ended."""
    tally, started, shown = Tally(), time.monotonic(), time.monotonic()
    for number in numbers:
        if seconds is not None and time.monotonic() - started > seconds:
            break
        verdict = run_input(seed, number, keep)
        tally.add(number, verdict)
        if verdict.failure is not None:
            print(f"input {number}: {target_of(number).name}: {verdict.failure.signature}", file=sys.stderr)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"fuzz: {number + 1} inputs, {len(tally.failures)} failed", file=sys.stderr, flush=True)
    return tally
