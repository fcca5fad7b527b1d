"""MKL's code of old for processors that are not Intel's: who is spared it, and where that is recorded."""

import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

from asrkd.commands.installation import machine
from asrkd.commands.installation.checks import Status
from asrkd.commands.train import TrainOptions, train
from asrkd.core import files, installed
from asrkd.core.errors import StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.targets.store.contract import contract
from asrkd.teachers.loading import open_teacher
from tests.stop_after import StopAfter

STARTED = Path(__file__).parents[2] / "constraints/asrkd_mkl_on_amd.py"
CPUINFO = Path("/proc/cpuinfo")
NAME = installed.MKL_VARIABLE

AMD = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model name\t: AMD EPYC 7763 64-Core Processor
flags\t\t: fpu vme de pse msr sse4_1 sse4_2 movbe popcnt avx f16c fma avx2 bmi2
power management:

processor\t: 1
vendor_id\t: AuthenticAMD
"""
INTEL = AMD.replace("AuthenticAMD", "GenuineIntel").replace("AMD EPYC 7763", "Intel Xeon")
OLD_AMD = AMD.replace(" avx2", "")  # code for AVX2 would be its end
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
IN_NAME = INTEL.replace("model name\t: Intel", "model name\t: not AuthenticAMD avx2 fma")


def in_started_python(tmp_path: Path, cpuinfo: str, code: str, **environment: str) -> str:
    """What code prints in a Python that was started with the file of install.sh, on such a machine."""
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    (tmp_path / "site").mkdir(exist_ok=True)
    # Under a name of its own: the environment of the tests has imported the file already.
    shutil.copy(STARTED, tmp_path / "site/started_once_more.py")
    (tmp_path / "site/started_once_more.pth").write_text("import started_once_more\n")
    start = (
        "import builtins, os, site\nreal = builtins.open\n"
        f"place = {str(tmp_path / 'cpuinfo')!r}\n"
        "builtins.open = lambda path, *a, **k: real(place if path == '/proc/cpuinfo' else path, *a, **k)\n"
        f"site.addsitedir({str(tmp_path / 'site')!r})\n"
    )
    own = {key: value for key, value in os.environ.items() if key != NAME} | environment
    done = subprocess.run(
        [sys.executable, "-c", start + code], env=own, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("cpuinfo", "given", "expected"),
    [
        (AMD, {}, "5"),
        (INTEL, {}, "None"),
        (OLD_AMD, {}, "None"),
        (ARM, {}, "None"),
        (IN_NAME, {}, "None"),
        ("", {}, "None"),
        (AMD, {NAME: "4"}, "4"),
        (AMD, {NAME: ""}, ""),
    ],
)
def test_the_variable_is_set_on_amd_with_avx2_if_it_is_unset(tmp_path, cpuinfo, given, expected):
    code = f"print(os.environ.get({NAME!r}))"
    assert in_started_python(tmp_path, cpuinfo, code, **given) == expected


def test_a_machine_without_a_description_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    spec = spec_from_file_location("asrkd_mkl_on_amd", STARTED)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv(NAME, raising=False)
    module.set_it(str(tmp_path / "absent"))
    assert NAME not in os.environ


HASH = """
import hashlib, torch
torch.set_num_threads(1)
a = torch.randn(200, 300, generator=torch.Generator().manual_seed(1))
b = torch.randn(300, 100, generator=torch.Generator().manual_seed(2))
error = (a.double() @ b.double() - a @ b).abs().max()
print(hashlib.sha256((a @ b).numpy().tobytes()).hexdigest(), float(error))
"""


@pytest.mark.skipif(" avx2 " not in files.read_text(CPUINFO), reason="this processor has no AVX2")
def test_mkl_reads_the_variable_and_multiplies_right(tmp_path):
    """The variable is set by os.environ in Python, and read by C in MKL at its first product."""
    started = in_started_python(tmp_path, AMD, HASH)
    assert started == in_started_python(tmp_path, INTEL, HASH, **{NAME: "5"})
    assert float(started.split()[1]) < 1e-4


def pretend(monkeypatch, torch_version: str, value: str | None) -> None:
    monkeypatch.setattr(installed, "version", lambda name: torch_version if name == "torch" else None)
    monkeypatch.setattr(torch, "__version__", torch_version)
    monkeypatch.delenv(NAME, raising=False)
    if value is not None:
        monkeypatch.setenv(NAME, value)


@pytest.mark.parametrize(
    ("version", "value", "recorded"),
    [("1.13.1+cu117", "5", "5"), ("1.13.1", None, None), ("1.13.1", "", None), ("2.11.0", "5", None)],
)
def test_contracts_record_the_variable_where_mkl_reads_it(
    teacher, corpus, monkeypatch, version, value, recorded
):
    cuts, model = read_cuts(corpus / "cuts_dev.jsonl.gz"), open_teacher(teacher)
    pretend(monkeypatch, version, value)
    found = contract("hidden", model, cuts, {})["computed_with"]
    assert found.get("mkl_debug_cpu_type") == recorded
    assert ("mkl_debug_cpu_type" in found) == (recorded is not None)


def test_lineage_records_it_and_other_processors_may_resume(config, tmp_path, monkeypatch, capsys):
    def run(stop: StopRequest, *, resume: bool) -> str:
        options = TrainOptions("cpu", threads=1, resume=resume)
        return train(config, tmp_path / "run", [], options, stop).text()

    pretend(monkeypatch, "1.13.1", "5")
    with pytest.raises(StoppedInTime):
        run(StopAfter(3), resume=False)
    lineage = files.read_json(tmp_path / "run/lineage.json")
    assert lineage["mkl_debug_cpu_type"] == "5"
    assert "last bits" not in capsys.readouterr().err
    pretend(monkeypatch, "1.13.1", None)
    assert ": 8 steps" in run(StopRequest(), resume=True)
    said = "mkl_debug_cpu_type was '5', is now not set: results will not be bit-identical"
    assert f"asrkd: {tmp_path}/run: {said}" in capsys.readouterr().err
    assert files.read_json(tmp_path / "run/lineage.json") == lineage
    assert "already complete" in run(StopRequest(), resume=False)
    assert "last bits" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cpuinfo", "version", "value", "status", "detail"),
    [
        (AMD, "1.13.1", None, Status.NOTE, "MKL_DEBUG_CPU_TYPE is not set"),
        (AMD, "1.13.1", "5", Status.OK, "MKL_DEBUG_CPU_TYPE=5, which"),
        (INTEL, "1.13.1", None, Status.OK, "selects its code path"),
        (AMD, "2.11.0", "5", Status.OK, "of torch 2.11.0, which selects its code path"),
        (None, "1.13.1", None, Status.OK, "selects its code path"),
    ],
)
def test_the_doctor_says_which_code_mkl_takes(tmp_path, monkeypatch, cpuinfo, version, value, status, detail):
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    pretend(monkeypatch, version, value)
    check = machine.check_mkl(tmp_path / "cpuinfo")
    assert check.status is status and check.detail.startswith(detail)
    assert (check.remedy == "export MKL_DEBUG_CPU_TYPE=5") == (status is Status.NOTE)
