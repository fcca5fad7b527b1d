"""GPUs that torch has no kernels for, programs that are absent, disks that are full."""

import sys
import types
import warnings

import pytest

from asrkd.commands.installation import machine
from asrkd.commands.installation.checks import Status
from asrkd.commands.installation.machine import PROGRAMS, check_disk, check_gpu, check_program, has_kernels

# What torch 1.13.1 for CUDA 11.7 and torch 2.11.0 for CUDA 13.0 are built for, as they say themselves.
TORCH_1_13 = ["sm_37", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86"]
TORCH_2_11 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize(
    ("gpu", "capability", "on_1_13", "on_2_11"),
    [
        ("V100", 70, True, False),
        ("T4", 75, True, True),
        ("A100", 80, True, True),
        ("RTX 4090", 89, True, True),
        ("H200", 90, False, True),
        ("RTX 5090", 120, False, True),
        ("one of the future", 130, False, True),
    ],
)
def test_kernels_run_within_a_generation_and_ptx_on_later(gpu, capability, on_1_13, on_2_11):
    assert has_kernels(capability, TORCH_1_13) is on_1_13
    assert has_kernels(capability, TORCH_2_11) is on_2_11


def pretend_gpu(monkeypatch, capability, architectures):
    cuda = types.SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_name=lambda n: "NVIDIA Pretence",
        get_device_capability=lambda n: capability,
        get_arch_list=lambda: architectures,
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))


def test_a_gpu_newer_than_its_torch_sends_to_the_modern_stack(monkeypatch):
    pretend_gpu(monkeypatch, (9, 0), TORCH_1_13)
    check = check_gpu()
    assert check.status is Status.NOTE
    assert check.detail == "NVIDIA Pretence, sm_90"
    assert check.remedy == "make setup STACK=modern"


def test_a_gpu_that_its_torch_knows_is_well(monkeypatch):
    pretend_gpu(monkeypatch, (9, 0), TORCH_2_11)
    assert check_gpu().status is Status.OK


def test_why_torch_cannot_use_a_gpu_is_passed_on(monkeypatch):
    def is_available():
        warnings.warn("CUDA initialization: the driver is too old", stacklevel=1)
        return False

    cuda = types.SimpleNamespace(is_available=is_available)
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    check = check_gpu()
    assert check.status is Status.OK
    assert "the driver is too old" in check.detail
    assert "--device cpu" in check.detail


def test_a_broken_torch_does_not_stop_the_check(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert check_gpu().status is Status.NOTE


@pytest.mark.gpu
def test_the_gpu_of_this_machine_computes_if_the_check_says_so():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use; on a machine with one: make test")
    assert check_gpu().status is Status.OK
    assert float(torch.ones(8, device="cuda").sum()) == 8.0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_that_is_absent_is_a_note_with_its_package(monkeypatch, tmp_path, program):
    monkeypatch.setattr(machine.shutil, "which", lambda *args, **kwargs: None)
    check = check_program(program)
    assert check.status is Status.NOTE
    assert check.remedy == f"sudo apt install {program.package}"
    assert program.stand_in in check.note


def test_programs_are_found_on_the_path_and_in_sbin(monkeypatch, tmp_path):
    program = machine.Program("sclite", "sctk", "scores", "nothing", str(tmp_path / "hidden"))
    for folder in ("hidden", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sclite").write_text("#!/bin/sh\n")
        (tmp_path / folder / "sclite").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "path"))
        check = check_program(program)
        assert check.status is Status.OK
        assert check.detail == str(tmp_path / folder / "sclite")


@pytest.mark.parametrize(("free", "status"), [(1_000_000_000, Status.NOTE), (10**12, Status.OK)])
def test_too_little_disk_for_100_hours_is_a_note(monkeypatch, tmp_path, free, status):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=free))
    check = check_disk(tmp_path)
    assert check.status is status
    assert check.detail.startswith(f"{free // 10**9} GB free")
    if status is Status.NOTE:
        assert "up to 12 GB" in check.note  # 36 million frames of 320 bytes are 11.52 GB
