"""Installed packages: versions, the stack that they form, and whether they fit together.

asrkd runs on two stacks. *k2* is Python 3.10 with torch 1.13.1, which k2 on the
package index is compiled against; *modern* is a current torch without k2.
Versions are read from the packages' metadata, so a package that cannot be
imported is seen as well.
"""

import importlib
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.shell import command

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints"

# Packages compiled against one version of torch, which their requirements name.
_COMPILED_AGAINST_TORCH = ("torchaudio", "k2")

# Requirements of torch 1.13 that its metadata lacks: numpy 2 changed its
# binary interface, lhotse 1.32 its call of torch's Sampler.
_UNDECLARED_ON_K2 = (Requirement("numpy<2"), Requirement("lhotse<1.32"))

# Variable that selects the code path of MKL 2020.0, which torch 1.13 contains; later versions ignore it.
# Results of different paths differ in their last bits.
MKL_VARIABLE = "MKL_DEBUG_CPU_TYPE"
MKL_KEY = MKL_VARIABLE.lower()


def version(distribution: str) -> str | None:
    """Return the installed version of a package, such as '1.13.1'; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def import_k2(user: str, alternative: str) -> Any:
    """Import k2, which compiled packages of another torch make fail in many ways.

    Args:
        user: option or setting that needs it, for the error.
        alternative: what to do instead of installing it.

    Raises:
        AsrkdError: k2 is not installed, or was built for another torch.
    """
    try:
        return importlib.import_module("k2")
    except Exception as error:
        raise AsrkdError(
            f"{user} needs k2: {error_text(error)}; make setup STACK=k2 (Python 3.10, torch 1.13.1), or "
            f"{alternative}"
        ) from None


def current() -> str:
    """Return the installed stack, 'k2' or 'modern', by the version of torch, else by that of Python."""
    torch = version("torch")
    if torch is not None:
        return "k2" if torch.startswith("1.13.") else "modern"
    return "k2" if sys.version_info[:2] == (3, 10) else "modern"


def mkl_setting() -> dict[str, str]:
    """Return the MKL code path for records of this process; empty unless it is set and MKL reads it."""
    value = os.environ.get(MKL_VARIABLE)
    return {MKL_KEY: value} if value and (version("torch") or "").startswith("1.13.") else {}


def misfits() -> list[tuple[str, str]]:
    """Return (package to fix, human-readable cause) for packages that do not fit together."""
    causes = []
    for package in _COMPILED_AGAINST_TORCH:
        for requirement in _requirements(package):
            if requirement.name == "torch" and not _is_met(requirement):
                cause = f"{package} {version(package)} needs {requirement}, found torch {version('torch')}"
                causes.append((package, cause))
    for requirement in _UNDECLARED_ON_K2 if current() == "k2" else ():
        if not _is_met(requirement):
            cause = f"torch {version('torch')} needs {requirement}, found {version(requirement.name)}"
            causes.append((requirement.name, cause))
    return causes


def pip_install(*distributions: str) -> str:
    """Write the command that installs packages into this environment, with the pins of its stack."""
    pins = CONSTRAINTS / f"{current()}.txt"
    constraint: list[str | Path] = ["-c", _relative(pins)] if pins.is_file() else []
    return command(_relative(Path(sys.executable)), "-m", "pip", "install", *constraint, *distributions)


def pip_uninstall(distribution: str) -> str:
    """Write the command that removes a package from this environment."""
    return command(_relative(Path(sys.executable)), "-m", "pip", "uninstall", "-y", distribution)


def _requirements(distribution: str) -> list[Requirement]:
    """Return the requirements of an installed package that apply here; none if absent or malformed."""
    try:
        requirements = [Requirement(line) for line in metadata.requires(distribution) or ()]
    except (metadata.PackageNotFoundError, InvalidRequirement):
        return []
    return [each for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]


def _is_met(requirement: Requirement) -> bool:
    """Return whether a package is installed in a version that the requirement allows."""
    installed = version(requirement.name)
    return installed is not None and requirement.specifier.contains(installed, prereleases=True)


def _relative(path: Path) -> Path:
    """Return the path as a user in the working directory would type it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
