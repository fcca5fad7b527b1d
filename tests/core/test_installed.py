"""Which stack this is, told from the metadata of pretended installations."""

import pytest

from asrkd.core import installed


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Pretend that a distribution is installed, before any that really is."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def pretend(name: str, version: str, *requires: str) -> None:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {needed}" for needed in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")

    return pretend


@pytest.fixture
def k2_stack(install):
    """The k2 stack as its packages' metadata describe it."""
    install("torch", "1.13.1+cu117")
    install("torchaudio", "0.13.1", "torch (==1.13.1)")
    install("k2", "1.23.4", "torch (==1.13.1)", "graphviz", 'typing-extensions ; python_version < "3.8"')
    return install


@pytest.mark.parametrize(
    ("torch", "name"),
    [("1.13.1", "k2"), ("1.13.1+cu117", "k2"), ("2.11.0", "modern"), ("2.1.13.1", "modern")],
)
def test_torch_decides_which_stack_it_is(install, torch, name):
    install("torch", torch)
    assert installed.current() == name


@pytest.mark.parametrize(("python", "name"), [((3, 10, 4), "k2"), ((3, 13, 0), "modern")])
def test_python_decides_where_there_is_no_torch(monkeypatch, python, name):
    monkeypatch.setattr(installed, "version", lambda distribution: None)
    monkeypatch.setattr(installed.sys, "version_info", python)
    assert installed.current() == name


def test_the_k2_stack_fits_with_a_local_build_of_torch(k2_stack):
    k2_stack("numpy", "1.26.4")
    k2_stack("lhotse", "1.31.1")
    assert installed.misfits() == []


def test_a_package_for_another_torch_names_both_versions(install):
    install("torch", "2.11.0")
    install("torchaudio", "2.8.0", "torch==2.8.0")
    install("k2", "1.23.4", "torch (==1.13.1)")
    said = dict(installed.misfits())
    assert said["torchaudio"] == "torchaudio 2.8.0 needs torch==2.8.0, found torch 2.11.0"
    assert said["k2"] == "k2 1.23.4 needs torch==1.13.1, found torch 2.11.0"


@pytest.mark.parametrize(("package", "version"), [("numpy", "2.0.0"), ("lhotse", "1.32.0")])
def test_undeclared_conflicts_of_torch_1_13_are_known(k2_stack, package, version):
    k2_stack({"numpy": "lhotse", "lhotse": "numpy"}[package], "1.26.4")
    k2_stack(package, version)
    assert [name for name, _ in installed.misfits()] == [package]


def test_the_same_packages_are_welcome_on_the_modern_stack(install):
    install("torch", "2.11.0")
    install("torchaudio", "2.11.0")
    install("numpy", "2.4.6")
    install("lhotse", "1.33.0")
    install("k2", "1.24.4.dev20990101+cpu.torch2.11.0", "torch==2.11.0")
    assert installed.misfits() == []


def test_a_requirement_that_cannot_be_read_is_no_misfit(install):
    install("torch", "2.11.0")
    install("torchaudio", "2.11.0")
    install("k2", "1.24", "torch &&& 3")
    assert installed.misfits() == []


def test_the_command_installs_pinned_versions_here(install, monkeypatch, tmp_path):
    install("torch", "1.13.1")
    monkeypatch.chdir(installed.CONSTRAINTS.parent)
    monkeypatch.setattr(installed.sys, "executable", "/somewhere/bin/python")
    assert installed.pip_install("jiwer", "numpy") == (
        "/somewhere/bin/python -m pip install -c constraints/k2.txt jiwer numpy"
    )
    monkeypatch.setattr(installed, "CONSTRAINTS", tmp_path / "none")
    assert installed.pip_install("jiwer") == "/somewhere/bin/python -m pip install jiwer"
    monkeypatch.setattr(installed.sys, "executable", str(installed.Path.cwd() / ".venv/bin/python"))
    assert installed.pip_uninstall("k2") == ".venv/bin/python -m pip uninstall -y k2"
