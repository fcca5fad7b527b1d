"""Packages that are missing, broken, or of another build: each is found, and the remedy given."""

import sys
import types

import pytest

from asrkd.commands.installation import packages
from asrkd.commands.installation.checks import Status
from asrkd.commands.installation.packages import PACKAGES, Package, check_fit, check_k2, check_package
from asrkd.core import installed

JIWER = Package("jiwer", "jiwer", "word errors")


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Make a module that raises when it is imported, before any of the same name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, statement: str) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(statement + "\n")

    return write


def test_a_missing_package_names_its_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    monkeypatch.setattr(installed, "version", lambda distribution: None)
    check = check_package(JIWER)
    assert check.status is Status.WRONG
    assert check.detail.startswith("ModuleNotFoundError")
    assert check.note == "for word errors"
    assert check.remedy.endswith("jiwer")
    assert "-m pip install" in check.remedy
    assert "--force-reinstall" not in check.remedy


@pytest.mark.parametrize(
    "statement",
    [
        "raise OSError('libcudart.so.13: cannot open shared object file')",
        "raise SystemExit(3)",
        "assert False",
        "import no_such_module_at_all",
        "this is not python",
    ],
)
def test_no_broken_package_stops_it_whatever_it_raises(broken, statement):
    broken("jiwer", statement)
    check = check_package(JIWER)
    assert check.status is Status.WRONG
    assert "--force-reinstall --no-deps jiwer" in check.remedy


def test_an_interrupt_is_the_users_own_and_passes(broken):
    broken("jiwer", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        check_package(JIWER)


def test_a_package_that_imports_and_does_not_work_is_wrong(monkeypatch):
    """torchaudio without its compiled part imports, and fails on the first loss."""
    audio = next(package for package in PACKAGES if package.module == "torchaudio")
    assert check_package(audio).status is Status.OK
    import torchaudio

    monkeypatch.setattr(torchaudio.functional, "rnnt_loss", lambda *args, **kwargs: 2.0)
    check = check_package(audio)
    assert check.status is Status.WRONG
    assert "expected 2.197" in check.detail


def test_espeak_without_its_voices_is_wrong(monkeypatch, tmp_path):
    espeak = next(package for package in PACKAGES if package.module == "espeakng_loader")
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "none"))
    check = check_package(espeak)
    assert check.status is Status.WRONG
    assert "none: no such folder" in check.detail


def test_k2_that_is_absent_is_a_note_that_says_what_stands_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "k2", None)
    monkeypatch.setattr(installed, "version", {"torch": "2.11.0"}.get)
    check = check_k2()
    assert check.status is Status.NOTE
    assert "torchaudio do its work" in check.note
    assert "make setup STACK=k2" in check.remedy
    assert "torch 2.11.0" in check.remedy


def test_k2_missing_from_its_stack_names_its_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "k2", None)
    monkeypatch.setattr(installed, "version", {"torch": "1.13.1"}.get)
    check = check_k2()
    assert check.status is Status.NOTE
    assert "-m pip install -c " in check.remedy
    assert check.remedy.endswith("k2.txt k2")


def test_k2_that_is_compiled_for_another_torch_is_in_the_way(broken, monkeypatch):
    broken("k2", "raise ImportError('k2 was built using PyTorch 1.13.1\\nbut you are using 2.11.0')")
    monkeypatch.setattr(installed, "version", {"torch": "2.11.0", "k2": "1.23.4"}.get)
    check = check_k2()
    assert check.status is Status.WRONG
    assert check.detail == "ImportError: k2 was built using PyTorch 1.13.1"
    assert check.remedy.endswith("-m pip uninstall -y k2")


def test_k2_whose_needs_are_missing_is_not_called_absent(broken, monkeypatch):
    broken("k2", "import graphviz_that_is_not_there")
    monkeypatch.setattr(installed, "version", lambda distribution: None)
    assert check_k2().status is Status.WRONG


def test_k2_that_works_says_its_torch(monkeypatch):
    k2 = types.SimpleNamespace(linear_fsa=lambda labels: labels, k2_torch_version="2.11.0")
    monkeypatch.setitem(sys.modules, "k2", k2)
    check = check_k2()
    assert check.status is Status.OK
    assert check.detail.endswith("built for torch 2.11.0")


def test_conflicting_packages_are_fixed_by_one_command(monkeypatch):
    misfits = [("torchaudio", "torchaudio 2.8.0 needs torch==2.8.0"), ("k2", "k2 1.23.4 needs torch==1.13.1")]
    monkeypatch.setattr(packages.installed, "misfits", lambda: misfits)
    check = check_fit()
    assert check.status is Status.WRONG
    assert "torchaudio 2.8.0 needs torch==2.8.0; k2 1.23.4 needs torch==1.13.1" in check.detail
    uninstall, install = check.remedy.split(" && ")
    assert uninstall.endswith("pip uninstall -y k2")
    assert install.endswith("torch torchaudio")


def test_absent_or_broken_transformers_is_only_a_note(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", types.SimpleNamespace(Wav2Vec2Model=object))
    monkeypatch.setattr(packages.installed, "version", lambda distribution: "4.57.6")
    assert packages.check_transformers().status is Status.OK
    monkeypatch.setitem(sys.modules, "transformers", None)
    broken = packages.check_transformers()
    monkeypatch.setattr(packages.installed, "version", lambda distribution: None)
    absent = packages.check_transformers()
    assert broken.status is absent.status is Status.NOTE
    assert broken.remedy.endswith("--force-reinstall --no-deps transformers")
    assert absent.remedy.endswith("transformers")
    assert absent.detail == "not installed"
    assert "only teachers in Hugging Face's folders need it" in absent.note


def test_absent_or_broken_submitit_is_only_a_note(monkeypatch):
    assert packages.check_submitit().status is Status.OK
    monkeypatch.setitem(sys.modules, "submitit", None)
    broken = packages.check_submitit()
    monkeypatch.setattr(packages.installed, "version", lambda distribution: None)
    absent = packages.check_submitit()
    assert broken.status is absent.status is Status.NOTE
    assert broken.remedy.endswith("--force-reinstall --no-deps submitit")
    assert absent.remedy.endswith("submitit")
    assert absent.detail == "not installed"
    assert "only --launcher needs it" in absent.note


def test_kenlm_is_done_without_whether_it_is_absent_or_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", types.SimpleNamespace(Model=object))
    monkeypatch.setattr(packages.installed, "version", lambda distribution: "0.3.0")
    assert packages.check_kenlm().status is Status.OK
    monkeypatch.setitem(sys.modules, "kenlm", types.SimpleNamespace())
    broken = packages.check_kenlm()
    monkeypatch.setattr(packages.installed, "version", lambda distribution: None)
    absent = packages.check_kenlm()
    assert broken.status is absent.status is Status.NOTE
    assert "AttributeError" in broken.detail
    assert absent.remedy.endswith("kenlm")
    assert "only n-gram models given as --lm need it" in absent.note
