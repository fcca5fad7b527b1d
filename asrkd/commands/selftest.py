"""Command ``selftest``: prove on a file system that kills and disk failures lose nothing.

Reads:   nothing.
Writes:  in its folder a small corpus and two runs of the whole pipeline on it,
         one without faults and one with; the outputs must be equal bytes.
         ``log.txt`` lists every fault.
"""

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.commands.proving.child import Command, CommandExit
from asrkd.commands.proving.pipeline import Step, digests, steps, write_corpus
from asrkd.core import output_folder
from asrkd.core.artifacts import STAMP
from asrkd.core.errors import AsrkdError
from asrkd.core.progress import meter
from asrkd.core.shared_work import PART_VARIABLE
from asrkd.core.stopping import StopRequest

RECORD = "selftest.json"
# A failing disk ends the command, with a line and exit 1.
DISK_FAULTS = ("nospace@publish:2", "readonly@open:2", "io@publish:3", "nospace@open:1")
WEIGHTS = {"distill quantizer": 0.5, "score": 0.5}  # commands that write little


@dataclass
class SelftestResult:
    """Counts of faults and of comparisons, and the failures of the proof."""

    kills: int = 0
    midway: int = 0  # kills between the first write and the stamp
    failures: int = 0  # disk failures
    compared: int = 0  # compared files
    broken: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Format the result as one line."""
        verdict = "all held" if not self.broken else f"{len(self.broken)} did not hold: {self.broken[0]}"
        return (
            f"selftest: {self.kills} kills ({self.midway} between the first write and the stamp) and "
            f"{self.failures} failures of the disk; {self.compared} files compared with a run left alone: "
            f"{verdict}"
        )


def selftest(
    folder: Path, entry: Callable[[], None], kills: int, seed: int, stop: StopRequest
) -> SelftestResult:
    """Run the pipeline twice below ``folder``, once without and once with faults, and compare.

    Args:
        folder: folder to create, or that of an earlier selftest, which is replaced.
        entry: console entry, which reads sys.argv.
        kills: SIGKILLs, spread over the commands.
        seed: seed of the times of the faults.
        stop: request to stop, checked between commands.

    Raises:
        AsrkdError: ``kills`` is below 0, ``folder`` has other contents, or the run without faults fails.
        StoppedInTime: a stop was requested.
    """
    if kills < 0:
        raise AsrkdError(f"--kills {kills}: expected 0 or more")
    if output_folder.inspect(folder, RECORD) is not None:
        shutil.rmtree(folder)
    output_folder.claim(folder, RECORD, {"kills": kills, "seed": seed})
    tally, rng = SelftestResult(), random.Random(seed)
    with (folder / "log.txt").open("w", encoding="utf-8", buffering=1) as log:
        proof = _Proof(folder, entry, rng, tally, log.write)
        chain = steps()
        with meter("selftest", 2 * len(chain), "commands") as progress:
            write_corpus(folder)  # one for both: manifests name its files
            for name in ("peace", "struck"):
                (folder / name).mkdir()
            for step in chain:
                stop.check("a selftest starts over")
                proof.in_peace(step)
                progress.advance()
            shares = _shares(chain, kills)
            for step in chain:
                stop.check("a selftest starts over")
                proof.struck(step, shares[step.name])
                progress.advance()
    output_folder.stamp(folder, {"held": not tally.broken})
    return tally


def _shares(chain: Sequence[Step], kills: int) -> dict[str, int]:
    """Return the number of kills of each command; they add up to ``kills``."""
    weights = [WEIGHTS.get(step.name, 1.0) for step in chain]
    shares = [int(kills * weight / sum(weights)) for weight in weights]
    for index in range(kills - sum(shares)):
        shares[index % len(shares)] += 1
    return dict(zip((step.name for step in chain), shares, strict=True))


class _Proof:
    """Runs of the pipeline, without and with faults."""

    def __init__(
        self,
        folder: Path,
        entry: Callable[[], None],
        rng: random.Random,
        tally: SelftestResult,
        log: Callable[[str], object],
    ) -> None:
        self.folder, self.entry, self.rng, self.tally, self._log = folder, entry, rng, tally, log

    def in_peace(self, step: Step) -> None:
        """Run a command without faults; it must succeed."""
        ended = self._command("peace", step).run()
        if ended.status:
            raise AsrkdError(f"{step.name}: exit {ended.status} without any fault: {_last_line(ended)}")

    def struck(self, step: Step, kills: int) -> None:
        """Run a command under faults, then to its end, and compare its outputs."""
        command, out = self._command("struck", step), self.folder / "struck" / step.out
        self._fail_disk(step, command, out)
        for number in range(kills):
            self._kill(step, command, out, number)
        ended = command.run()
        self._expect(
            ended.status == 0, f"{step.name}: exit {ended.status} after its kills: {_last_line(ended)}"
        )
        self._compare(step, out)

    def _fail_disk(self, step: Step, command: Command, out: Path) -> None:
        """Run a command on a failing disk; expect a line and exit 1, and no broken file."""
        fault = self.rng.choice(DISK_FAULTS)
        ended = command.run(fault)
        self._note(step, fault, out, ended)
        if not ended.was_struck:  # it wrote fewer files
            self._compare(step, out)
            shutil.rmtree(out)
            return
        self.tally.failures += 1
        is_line = ended.status == 1 and "Traceback" not in ended.stderr and "asrkd: " in _last_line(ended)
        self._expect(is_line, f"{step.name}: {fault} did not end in a line with exit 1: {_last_line(ended)}")

    def _kill(self, step: Step, command: Command, out: Path, number: int) -> None:
        """Kill a command once; if it ends before the kill, remove its outputs and repeat."""
        for attempt in range(20):
            if number % 3 == 2:
                # Sooner each time: a short command ends soon after its first file.
                fault = f"kill after {self.rng.uniform(0, 0.4 * 0.7**attempt):.3f} s"
                ended = command.run_and_kill(out, float(fault.split()[2]))
            else:
                fault = self._fault(step, attempt, number)
                ended = command.run(fault)
            if ended.was_killed:
                self.tally.kills += 1
                self.tally.midway += out.is_dir() and not (out / STAMP).is_file()
                self._note(step, fault, out, ended)
                return
            self._expect(
                ended.status == 0, f"{step.name}: exit {ended.status} after a kill: {_last_line(ended)}"
            )
            self._compare(step, out)
            shutil.rmtree(out)
        self._expect(False, f"{step.name}: ended before it could be killed, twenty times")

    def _fault(self, step: Step, attempt: int, number: int) -> str:
        if number % 3 == 0 and step.name.startswith(("distill", "score")):
            return f"kill@answer:{self.rng.randint(1, max(1, 18 >> attempt))}"  # within a shard of up to 20
        learns = step.name.startswith(("train", "distill quantizer"))
        points = ["publish", "named", "open"] + (["step", "step"] if learns else [])
        action = "tear" if self.rng.random() < 0.3 else "kill"
        point = "publish" if action == "tear" else self.rng.choice(points)
        return f"{action}@{point}:{self.rng.randint(1, max(1, 4 - attempt))}"

    def _compare(self, step: Step, out: Path) -> None:
        """Compare the outputs of a command after faults with its outputs without faults."""
        expected, actual = digests(self.folder / "peace" / step.out), digests(out)
        self.tally.compared += len(actual)
        for name in sorted(expected.keys() | actual.keys()):
            same = expected.get(name) == actual.get(name)
            self._expect(same, f"{step.name}: {name} is not what it is in peace")

    def _command(self, run: str, step: Step) -> Command:
        # Under faults, save parts at every seam; commands are too short to save any by themselves.
        parts = {PART_VARIABLE: "0" if run == "struck" else "3600"}
        return Command(
            self.entry, step.words, self.folder / run, (self.folder / f"{run}.log").absolute(), parts
        )

    def _expect(self, held: bool, what: str) -> None:
        if not held:
            self.tally.broken.append(what)
            self._log(f"BROKEN {what}\n")

    def _note(self, step: Step, fault: str, out: Path, ended: CommandExit) -> None:
        made = sum(path.is_file() for path in out.rglob("*")) if out.is_dir() else 0
        stamped = ", stamped" if (out / STAMP).is_file() else ""
        self._log(f"{step.name}: {fault}: exit {ended.status}, {made} files there{stamped}\n")


def _last_line(ended: CommandExit) -> str:
    lines = ended.stderr.strip().splitlines()
    return lines[-1] if lines else "(no output)"
