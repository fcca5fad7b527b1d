"""Version of the running source: the commit of the git repository that it is in."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class SourceVersion:
    """Commit of the running source."""

    commit: str  # 40 hex digits
    dirty: bool  # whether a tracked file of the repository differs from the commit


def source_version(folder: Path = _PACKAGE) -> SourceVersion | None:
    """Return the commit of a folder of Python source; None if git does not track it, as an installed package.

    Args:
        folder: the folder, with an ``__init__.py``; that of asrkd.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None or changes is None else SourceVersion(commit, bool(changes))


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of a git command in a folder, without its line end; None if it fails."""
    # A hook of git runs with variables that lead to its own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None
