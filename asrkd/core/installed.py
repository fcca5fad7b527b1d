"""The two stacks that asrkd runs on: which one this is, and whether its packages fit together.

*k2* is Python 3.10 with torch 1.13.1, the one that k2 on the index is compiled
against; *modern* is a torch of today without k2. What is installed is read
from the packages' own metadata, so that a package too broken to be imported
is seen as well.
"""

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from asrkd.core.shell import command

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints"

# Packages compiled against one torch, which they name in their requirements.
_COMPILED_AGAINST_TORCH = ("torchaudio", "k2")

# What torch 1.13 does not work with and does not say: numpy 2 changed its
# binary interface, lhotse 1.32 its call of torch's Sampler.
_UNSAID_ON_K2 = (Requirement("numpy<2"), Requirement("lhotse<1.32"))


def installed(distribution: str) -> str | None:
    """The installed version of a package, such as '1.13.1'; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def current() -> str:
    """The stack that is installed, 'k2' or 'modern'; decided by torch, else by Python."""
    torch = installed("torch")
    if torch is not None:
        return "k2" if torch.startswith("1.13.") else "modern"
    return "k2" if sys.version_info[:2] == (3, 10) else "modern"


def misfits() -> list[tuple[str, str]]:
    """(package to mend, what does not fit, in words) for packages that do not go together."""
    found = []
    for package in _COMPILED_AGAINST_TORCH:
        for needed in _requirements(package):
            if needed.name == "torch" and _refuses(needed):
                words = f"{package} {installed(package)} needs {needed}, found torch {installed('torch')}"
                found.append((package, words))
    for needed in _UNSAID_ON_K2 if current() == "k2" else ():
        if _refuses(needed):
            words = f"torch {installed('torch')} needs {needed}, found {installed(needed.name)}"
            found.append((needed.name, words))
    return found


def pip_install(*distributions: str) -> str:
    """The command that installs packages into this very environment, as pinned for its stack."""
    pins = CONSTRAINTS / f"{current()}.txt"
    constraint: list[str | Path] = ["-c", _shown(pins)] if pins.is_file() else []
    return command(_shown(Path(sys.executable)), "-m", "pip", "install", *constraint, *distributions)


def pip_uninstall(distribution: str) -> str:
    """The command that takes a package out of this very environment."""
    return command(_shown(Path(sys.executable)), "-m", "pip", "uninstall", "-y", distribution)


def _requirements(distribution: str) -> list[Requirement]:
    """What an installed package says it needs here; nothing if it is absent or says it badly."""
    try:
        said = [Requirement(line) for line in metadata.requires(distribution) or ()]
    except (metadata.PackageNotFoundError, InvalidRequirement):
        return []
    return [needed for needed in said if needed.marker is None or needed.marker.evaluate({"extra": ""})]


def _refuses(needed: Requirement) -> bool:
    """Whether the installed version is not one that ``needed`` allows; an absent package is refused."""
    version = installed(needed.name)
    return version is None or not needed.specifier.contains(version, prereleases=True)


def _shown(path: Path) -> Path:
    """A path as a person in the working directory would type it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
