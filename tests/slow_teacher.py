"""Cost of a kill with a slow teacher: `python -m tests.slow_teacher` kills `asrkd distill` to measure it.

    python -m tests.slow_teacher --kind codebook --cuts 120 --jobs 2 --kills 1 --seed 1

makes a small model with random weights, a corpus of made-up features, and a
store by one process left alone. Then the same store is made by a teacher that
takes a second a cut (``ASRKD_FAULT=slow@answer``), in two shards, killed
(SIGKILL) at random moments and run again. Every answer of the slow teacher
leaves a line in a log, so answers that were given twice can be counted: each
is a second of work that was lost. Exit status 1 if a promise was not held.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from asrkd.commands.distill_quantizer import quantizer
from asrkd.commands.distill_request import DistillRequest, quantizer_request
from asrkd.commands.proving.pipeline import digests
from asrkd.core import faults, files
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import write_cuts
from asrkd.data.features.reading import FeatureConfig
from asrkd.data.tokens import train_char
from asrkd.models.config import EncoderDecoderArchitecture, EncoderDecoderConfig
from asrkd.models.directory import save_model
from asrkd.models.recognizer import Recognizer
from tests.conftest import NUM_FEATURES, SAMPLING_RATE, make_cuts
from tests.models.small import DECODERS, ENCODERS

FIRST_LINE_S, MOST_LOST_S = 5.0, 60.0  # what is promised
FEATURES = FeatureConfig(
    type="kaldi-fbank", num_features=NUM_FEATURES, frame_shift=0.01, sampling_rate=SAMPLING_RATE
)
KINDS = {
    "nbest": ("distill", "nbest", "--beam", "4", "--nbest", "4"),
    "attention": ("distill", "nbest", "--beam", "4", "--nbest", "4", "--search", "attention"),
    "codebook": ("distill", "codebook", "--quantizer", "quantizer"),
    "codebook-anew": ("distill", "codebook", "--layer", "1", "--codebooks", "2"),  # with its quantizer
    "posterior": ("distill", "posterior", "--top-k", "3"),
    "hidden": ("distill", "hidden", "--layer", "1"),
    "score": ("score", "teacher"),
}


def make_inputs(folder: Path, num_cuts: int) -> None:
    """Write ``cuts.jsonl.gz``, ``teacher``, with CTC head and decoder, and ``quantizer`` below a folder."""
    cuts = make_cuts(folder, "train", num_cuts)
    write_cuts(folder / "cuts.jsonl.gz", cuts)
    tokens = train_char([cut.supervisions[0].text for cut in cuts])
    parts = EncoderDecoderConfig(encoder=ENCODERS["conformer"], decoder=DECODERS["transformer"], ctc=True)
    architecture = EncoderDecoderArchitecture(parts=parts, features=FEATURES, num_tokens=tokens.size)
    torch.manual_seed(5)
    model = Recognizer(architecture)
    for head in (model.ctc_head, model.decoder.out):  # else all tokens are about as likely
        torch.nn.init.normal_(head.weight, std=1.5)
    save_model(folder / "teacher", architecture, model.state_dict(), tokens, {})
    question = DistillRequest(folder / "teacher", (folder / "cuts.jsonl.gz",), folder / "quantizer")
    quantizer(question, quantizer_request(1, 2, steps=3), StopRequest())


def words(kind: str, out: str, *, jobs: int, cuts_per_shard: int) -> list[str]:
    """The command that makes a store, or a score, in a folder of :func:`make_inputs`."""
    asked = [] if kind == "score" else ["--teacher", "teacher", "--cuts-per-shard", str(cuts_per_shard)]
    return [*KINDS[kind], *asked, "--cuts", "cuts.jsonl.gz", "--out", out, "--jobs", str(jobs)]


@dataclass
class Running:
    """A command of asrkd in a process of its own, and the lines of its stderr as they come."""

    folder: Path
    words: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    popen: type[subprocess.Popen] = subprocess.Popen

    def __post_init__(self) -> None:
        """Start it."""
        self.lines: list[tuple[float, str]] = []  # with seconds since the start
        self.started_at = time.monotonic()
        self.process = self.popen(
            [sys.executable, "-m", "asrkd", *self.words],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.monotonic() - self.started_at, line.rstrip()))

    def first_progress(self) -> tuple[float, str]:
        """When the first line of progress came, in seconds since the start, and the line."""
        while True:
            for at, line in list(self.lines):
                if " cuts" in line and "/" in line.split(" cuts")[0].rsplit(": ", 1)[-1]:
                    return at, line
            if self.process.poll() is not None:
                raise SystemExit(f"exit {self.process.returncode} without progress: {self.lines}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, timeout_s: float | None = None) -> int:
        """Wait for it to end by itself; its exit status."""
        status = self.process.wait(timeout_s)
        self._reader.join()
        return status


def outputs(folder: Path, out: str) -> dict[str, str]:
    """Digests of what a command made, but for the file that holds the command itself, with ``out`` in it."""
    made = [path for name in (out, f"{out}-quantizer") if (path := folder / name).is_dir()]
    assert not [parts for path in made for parts in path.rglob("parts")]
    return {
        f"{number}/{name}": digest
        for number, path in enumerate(made)
        for name, digest in digests(path).items()
        if name != "sources.json"
    }


def main() -> None:
    """Measure, print, and exit 1 if a promise was not held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="codebook")
    parser.add_argument("--cuts", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(given.seed)
        make_inputs(folder, given.cuts)
        sizes = {"cuts_per_shard": -(-given.cuts // 2)}
        assert Running(folder, words(given.kind, "alone", jobs=1, **sizes)).end() == 0
        log = folder / "answers.log"
        slow = {faults.VARIABLE: "slow@answer", faults.LOG_VARIABLE: str(log)}
        first_s, lines = [], []
        for number in range(given.kills + 1):
            run = Running(folder, words(given.kind, "killed", jobs=given.jobs, **sizes), slow)
            at, line = run.first_progress()
            first_s.append(at)
            print(f"first line of progress after {at:.1f} s: {line}", flush=True)
            if number == given.kills:
                assert run.end() == 0
                lines = run.lines
                break
            time.sleep(rng.uniform(0.2, 0.4) * given.cuts)
            run.kill()
            answers = len(log.read_text().splitlines())
            print(f"killed when {answers} answers had been given: {run.lines[-1][1]}", flush=True)
        print(f"done: {lines[-1][1]}")
        needed = given.cuts * (2 if given.kind == "codebook-anew" else 1)
        lost = len(log.read_text().splitlines()) - needed
        expected, found = (outputs(folder, out) for out in ("alone", "killed"))
    print(f"{lost} answers given twice: {lost} s of work lost to {given.kills} kills of {given.jobs} workers")
    for out, store in (("left alone", expected), ("killed", found)):
        print(f"{out}: {len(store)} files, SHA-256 {files.sha256_of(store)}")
    held = expected == found and lost <= MOST_LOST_S * given.kills and max(first_s) <= FIRST_LINE_S
    print("all held" if held else "NOT HELD")
    raise SystemExit(not held)


if __name__ == "__main__":
    main()
