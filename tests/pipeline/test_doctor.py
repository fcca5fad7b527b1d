"""The doctor on this very installation, and on one that it is told is ill."""

import sys
from importlib import metadata

import pytest

from asrkd.commands.doctor import DoctorReport, doctor
from asrkd.commands.installation.checks import Check, Status
from asrkd.commands.installation.packages import PACKAGES


def test_this_installation_passes_and_versions_are_reported():
    report = doctor()
    assert report.exit_status == 0, report.text()
    rows = {check.name: check for check in report.checks}
    for package in PACKAGES:
        assert metadata.version(package.distribution) in rows[package.distribution].detail
    assert rows["stack"].detail.startswith("k2" if "1.13" in rows["torch"].detail else "modern")
    assert report.text().endswith("everything required works")


def test_a_missing_package_exits_with_1_and_its_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    report = doctor()
    assert report.exit_status == 1
    assert [check.name for check in report.checks if check.status is Status.WRONG] == ["sentencepiece"]
    assert "fix it with: " in report.text()
    assert "--force-reinstall --no-deps sentencepiece" in report.text()


def test_the_report_is_whole_with_every_package_missing(monkeypatch):
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package.module, None)
    report = doctor()
    assert sum(check.status is Status.WRONG for check in report.checks) >= len(PACKAGES)
    assert report.checks[-1].name == "disk"


@pytest.mark.parametrize(
    ("status", "exit_status", "conclusion"),
    [
        (Status.OK, 0, "everything required works"),
        (Status.NOTE, 0, "everything required works"),
        (Status.WRONG, 1, "1 of 2 checks failed: fix the first one first"),
    ],
)
def test_only_what_is_needed_and_does_not_work_counts(status, exit_status, conclusion):
    report = DoctorReport((Check("a", Status.OK, "1.0"), Check("b", status, "found")))
    assert report.exit_status == exit_status
    assert report.text().splitlines()[-1] == conclusion
