"""Checks of the machine: GPUs, MKL, disk space, and optional programs."""

import os
import re
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from asrkd.commands.installation.checks import BROKEN, Check, Status, in_a_line
from asrkd.core import installed
from asrkd.core.shell import command

# Features of 100 hours, uncompressed: 100 frames a second of 80 float32 bins.
FEATURES_OF_100_HOURS_GB = 100 * 3600 * 100 * 80 * 4 / 1e9


@dataclass(frozen=True)
class Program:
    """Optional program of the system."""

    name: str
    package: str  # Debian's
    use: str
    stand_in: str  # substitute
    folder: str = ""  # Debian's folder for it, if that is not on the PATH


PROGRAMS = (
    Program(
        "sclite",
        "sctk",
        "tests that compare scores and significance with NIST's",
        "they are skipped; asrkd score needs no other program",
        "/usr/lib/sctk/bin",
    ),
    Program(
        "chromium",
        "chromium",
        "tests that open a report in a browser",
        "they are skipped; any browser shows a report",
    ),
    Program(
        "sbatch",
        "slurm-wlm",
        "--launcher slurm, the scripts of stages/slurm, and their tests",
        "use --jobs on this machine, or --launcher local",
    ),
)


def check_gpu() -> Check:
    """Check that torch sees the GPUs and has kernels for them."""
    try:
        torch = import_module("torch")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            available = torch.cuda.is_available()
        if not available:
            reason = f" ({in_a_line(caught[-1].message)})" if caught else ""
            return Check("GPU", Status.OK, f"none that torch can use{reason}; use --device cpu")
        return _check_kernels(torch)
    except BROKEN as error:
        return Check("GPU", Status.NOTE, in_a_line(error), "use the CPU: --device cpu")


def _check_kernels(torch: Any) -> Check:
    capabilities = [torch.cuda.get_device_capability(n) for n in range(torch.cuda.device_count())]
    names = [torch.cuda.get_device_name(n) for n in range(len(capabilities))]
    gpus = "; ".join(f"{name}, sm_{a}{b}" for name, (a, b) in zip(names, capabilities, strict=True))
    architectures = torch.cuda.get_arch_list()
    if all(has_kernels(10 * a + b, architectures) for a, b in capabilities):
        return Check("GPU", Status.OK, gpus)
    note = f"this torch has kernels for {' '.join(architectures)} only; use the CPU: --device cpu"
    return Check("GPU", Status.NOTE, gpus, note, "make setup STACK=modern")


def has_kernels(capability: int, architectures: Sequence[str]) -> bool:
    """Return whether a torch built for ``architectures`` computes on a GPU of a capability.

    Args:
        capability: ten times the major number and the minor one, such as 86.
        architectures: names from ``torch.cuda.get_arch_list``. ``sm_86`` is
            machine code, for GPUs of the same major number and no smaller
            minor one; ``compute_90`` is PTX, compiled on any GPU from 9.0 on
            (CUDA C++ Programming Guide, section "Application Compatibility").
    """
    for architecture in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)", architecture)
        if match is None or int(match[2]) > capability:
            continue
        if match[1] == "compute" or int(match[2]) // 10 == capability // 10:
            return True
    return False


def check_mkl(cpuinfo: Path) -> Check:
    """Check that the MKL of torch 1.13 takes the fast code path of this processor."""
    value = installed.mkl_setting().get(installed.MKL_KEY)
    if installed.current() != "k2":
        return Check("MKL", Status.OK, f"of torch {installed.version('torch')}, which selects its code path")
    if value is not None:
        return Check(
            "MKL", Status.OK, f"{installed.MKL_VARIABLE}={value}, which contracts and lineages record"
        )
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    if re.search(r"^vendor_id\s*:\s*AuthenticAMD$", text, re.MULTILINE) and re.search(r"\bavx2\b", text):
        note = "torch 1.13 multiplies matrices at less than half of this AMD processor's speed"
        return Check(
            "MKL",
            Status.NOTE,
            f"{installed.MKL_VARIABLE} is not set",
            note,
            f"export {installed.MKL_VARIABLE}=5",
        )
    return Check("MKL", Status.OK, "selects its code path")


def check_program(program: Program) -> Check:
    """Check whether an optional program is installed."""
    place = shutil.which(program.name) or shutil.which(program.name, path=program.folder or os.defpath)
    if place:
        return Check(program.name, Status.OK, place)
    note = f"for {program.use}; without it, {program.stand_in}"
    remedy = command("sudo", "apt", "install", program.package)
    return Check(program.name, Status.NOTE, "not installed", note, remedy)


def check_disk(folder: Path) -> Check:
    """Check that ``folder`` has space for a corpus of 100 hours."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    free = f"{free_gb:.0f} GB free in {folder}"
    if free_gb >= FEATURES_OF_100_HOURS_GB:
        return Check("disk", Status.OK, free)
    note = f"features of 100 hours take up to {FEATURES_OF_100_HOURS_GB:.0f} GB, stored targets as much again"
    return Check("disk", Status.NOTE, free, note, "work in a folder on a larger disk, or free some")
