"""Command ``doctor``: report installed and missing packages, their substitutes, and the commands that fix it.

Reads:   the installation and the machine; no user data.
Writes:  nothing.
"""

import platform
from dataclasses import dataclass
from pathlib import Path

import asrkd
from asrkd.commands.installation import machine, packages
from asrkd.commands.installation.checks import Check, Status


@dataclass(frozen=True)
class DoctorReport:
    """Report of all checks, in order."""

    checks: tuple[Check, ...]

    @property
    def exit_status(self) -> int:
        """0 if everything required works, else 1."""
        return int(self._num_wrong() > 0)

    def text(self) -> str:
        """Format a line for each check, with its remedy if it fails, and a conclusion."""
        wrong = self._num_wrong()
        conclusion = (
            f"{wrong} of {len(self.checks)} checks failed: fix the first one first"
            if wrong
            else "everything required works"
        )
        return "\n".join([*(check.text() for check in self.checks), conclusion])

    def _num_wrong(self) -> int:
        return sum(check.status is Status.WRONG for check in self.checks)


def doctor() -> DoctorReport:
    """Check everything that asrkd uses; it takes a few seconds, and no broken package stops it."""
    python = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    return DoctorReport(
        (
            Check("Python", Status.OK, python),
            Check("asrkd", Status.OK, asrkd.__version__),
            packages.check_fit(),
            *(packages.check_package(package) for package in packages.PACKAGES),
            packages.check_k2(),
            packages.check_submitit(),
            *packages.check_deployment(),
            packages.check_transformers(),
            packages.check_kenlm(),
            machine.check_gpu(),
            machine.check_mkl(Path("/proc/cpuinfo")),
            *(machine.check_program(program) for program in machine.PROGRAMS),
            machine.check_disk(Path.cwd()),
        )
    )
