"""Scripts of ``stages`` run by tests: by make, or with an ``asrkd`` that only records its commands."""

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import forked

ROOT = Path(__file__).parents[1]

# Appends its command line to the file $RECORD. compare and report print it too, and write a file --out.
RECORDER = """#!/usr/bin/env bash
printf -v line '%q ' asrkd "$@"
echo "${line% }" >> "$RECORD"
case $1 in compare | report)
  echo "${line% }"
  while [[ $1 != --out ]]; do shift; done
  echo > "$2"
esac
"""


def environment() -> dict[str, str]:
    """The environment of this process without what a make around it has put there."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in this environment, tiny, with the outputs of the demo's corpus in ``folder``."""
    options = [
        f"VENV={forked.environment()}",
        "SIZE=tiny",
        f"DIGITS={folder}/data",
        f"DEMO={folder}/demo",
    ]
    command = ["make", "--no-print-directory", *options, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Recorded:
    """Commands of a script that ran with the recorder."""

    commands: list[list[str]]  # words after ``asrkd``, in the order of their starts
    stdout: str

    def of(self, *names: str) -> list[str]:
        """Those of some subcommands, as lines."""
        return [shlex.join(["asrkd", *words]) for words in self.commands if words[0] in names]

    def unfinished(self) -> list[str]:
        """Those whose output folder is not complete, or whose output file is missing."""
        outs = {
            shlex.join(words): Path(words[words.index("--out") + 1])
            for words in self.commands
            if "--out" in words
        }
        return [line for line, out in outs.items() if not (out.is_file() or (out / "stamp.json").is_file())]


def record(folder: Path, script: str, *arguments: str, **variables: str) -> Recorded:
    """Run a script of ``stages`` as :func:`make` would, but with the recorder as ``asrkd``."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/asrkd").write_text(RECORDER)
    (folder / "bin/asrkd").chmod(0o755)
    log = folder / "record.txt"
    log.write_text("")
    places = {"SIZE": "tiny", "DATA": f"{folder}/data", "EXP": f"{folder}/demo", "RECORD": str(log)}
    path = {"PATH": f"{folder}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", f"stages/{script}", *arguments],
        cwd=ROOT, env=environment() | places | path | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return Recorded([shlex.split(line)[1:] for line in log.read_text().splitlines()], done.stdout)
