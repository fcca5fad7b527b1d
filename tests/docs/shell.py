"""The commands of a shell block, as bash itself takes them apart, with nothing run.

bash runs the block with a function in the place of every program, which notes its arguments: variables,
braces, loops and quotes are bash's own. A program that is not expected ends the block.
"""

import os
import subprocess
from pathlib import Path

PROGRAMS = (
    "asrkd",
    "make",
    "python",
    "pip",
    "bash",
    "torchrun",
    "srun",
    "sbatch",
    "sudo",
    "git",
    "cd",
    "source",
    "sctk",
)

NOTE = """
note() { printf '%s\\0' "$@" >> "$NOTES"; printf '\\n\\0' >> "$NOTES"; }
command_not_found_handle() { echo "not expected here: $1" >&2; kill $$; }
"""


def commands(block: str, folder: Path) -> list[list[str]]:
    """The arguments of every command that the block would run, program first.

    Args:
        block: lines of bash.
        folder: an empty folder, where what the block redirects into files goes.

    Raises:
        AssertionError: bash cannot read the block, or a program is none of :data:`PROGRAMS`.
    """
    notes = folder / ".notes"
    notes.write_bytes(b"")
    functions = "".join(f'{name}() {{ note {name} "$@"; }}\n' for name in PROGRAMS)
    shell = ["/bin/bash", "-u", "-c", NOTE + functions + block]
    environment = {"PATH": "/nowhere", "NOTES": str(notes), "HOME": str(folder)}
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, f"{done.stderr or done.returncode}\n{block}"
    words = notes.read_bytes().decode().split("\0")
    found: list[list[str]] = [[]]
    for word in words[:-1]:
        if word == "\n":
            found.append([])
        else:
            found[-1].append(word)
    notes.unlink()
    return found[:-1]


def makefile_targets(root: Path) -> set[str]:
    """The targets that `make help` lists."""
    environment = {**os.environ, "MAKEFLAGS": ""}
    done = subprocess.run(
        ["make", "help"], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    return {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")}
