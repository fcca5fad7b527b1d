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
command=$1
case $command in compare | report)
  while [[ $1 != --out ]]; do shift; done
  mkdir -p "$(dirname "$2")" && echo > "$2"
  [[ ${FAILING-} == "$command":* ]] || echo "${line% }"
esac
[[ ${FAILING-} != "$command":* ]] || exit "${FAILING#*:}"
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


def run_recorded(
    folder: Path, script: str, *arguments: str, failing: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of ``stages`` as :func:`make` would, but with the recorder as ``asrkd``.

    Args:
        folder: for the recorder, its record and all outputs.
        script: path in ``stages``.
        arguments: of the script.
        failing: COMMAND:STATUS of a recorded command that ends with this exit status, its output written.
        variables: of the environment.
    """
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/asrkd").write_text(RECORDER)
    (folder / "bin/asrkd").chmod(0o755)
    log = folder / "record.txt"
    log.write_text("")
    places = {"SIZE": "tiny", "DATA": f"{folder}/data", "EXP": f"{folder}/demo", "RECORD": str(log)}
    path = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "FAILING": failing}
    return subprocess.run(
        ["bash", f"stages/{script}", *arguments],
        cwd=ROOT, env=environment() | places | path | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


def record(folder: Path, script: str, *arguments: str, **variables: str) -> Recorded:
    """Run a script as :func:`run_recorded`; its commands, all of which succeeded."""
    done = run_recorded(folder, script, *arguments, **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (folder / "record.txt").read_text().splitlines()
    return Recorded([shlex.split(line)[1:] for line in lines], done.stdout)


def check_order(commands: list[list[str]]) -> None:
    """Fail if a command reads a folder that a later one writes; the same command may be repeated."""
    commands = [list(words) for words in dict.fromkeys(map(tuple, commands))]
    outs = [words[words.index("--out") + 1] if "--out" in words else "" for words in commands]
    assert len(set(outs) - {""}) == len([out for out in outs if out])  # none is written twice
    for position, words in enumerate(commands):
        inputs = {part for word in words for part in word.replace(",", " ").replace("=", " ").split()}
        assert not inputs & (set(outs[position + 1 :]) - {""}), words
