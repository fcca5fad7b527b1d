"""The set-up, without installing anything: pins, the choice of stack and Python, and the Makefile's help."""

import configparser
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from asrkd.commands.installation.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("k2", "modern")
PYTHONS = {"k2": ("3.10",), "modern": ("3.10", "3.11", "3.12", "3.13")}


def declared(extra: str | None = None) -> list[Requirement]:
    """What setup.cfg says asrkd needs, or one of its extras."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.extras_require"][extra] if extra else config["options"]["install_requires"]
    return [Requirement(line) for line in lines.split("\n") if line and not line.startswith("#")]


def pins(stack: str) -> list[Requirement]:
    lines = (ROOT / "constraints" / f"{stack}.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def applying(stack: str, python: str) -> dict[str, str]:
    """Pinned version by name on Linux; a name that is pinned twice there is an error."""
    found: dict[str, str] = {}
    for pin in pins(stack):
        where = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
        if pin.marker is None or pin.marker.evaluate(where):
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            assert canonicalize_name(pin.name) not in found, f"{pin.name} is pinned twice for {python}"
            found[canonicalize_name(pin.name)] = specifier.version
    return found


@pytest.mark.parametrize(("stack", "python"), [(s, python) for s in STACKS for python in PYTHONS[s]])
def test_everything_declared_is_pinned_within_its_bounds(stack, python):
    wanted = declared() + declared("dev") + declared("docs") + (declared("k2") if stack == "k2" else [])
    pinned = applying(stack, python)
    for needed in wanted:
        assert needed.specifier.contains(pinned[canonicalize_name(needed.name)]), needed
    assert {"pip", "setuptools", "wheel"} <= pinned.keys()


def test_everything_that_comes_along_is_pinned_too():
    """Follow what the packages that are installed here say they need, from what asrkd declares."""
    pinned = {canonicalize_name(pin.name) for stack in STACKS for pin in pins(stack)}
    waiting, seen = (
        [needed.name for needed in declared() + declared("dev") + declared("docs") + declared("k2")],
        set(),
    )
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        assert name in pinned
        try:
            requires = [Requirement(line) for line in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:
            continue  # k2 on the modern stack
        waiting += [r.name for r in requires if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert {"torch", "lhotse", "audioread", "click"} <= seen


def test_the_stacks_are_those_of_the_design():
    k2 = applying("k2", "3.10")
    assert (k2["torch"], k2["torchaudio"], k2["lhotse"], k2["k2"]) == ("1.13.1", "0.13.1", "1.31.1", "1.23.4")
    assert int(k2["numpy"].split(".")[0]) < 2
    assert int(k2["pip"].split(".")[0]) < 24
    for python in PYTHONS["modern"]:
        modern = applying("modern", python)
        assert (modern["torch"], modern["torchaudio"]) == ("2.11.0", "2.11.0")
        assert "k2" not in modern


@pytest.mark.parametrize(
    "name", ["setup.cfg", "constraints/k2.txt", "constraints/k2-wheel.txt", "constraints/modern.txt"]
)
def test_the_user_decides_the_index_not_these_files(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text, re.MULTILINE), "an option for pip"


def test_the_doctor_looks_only_at_what_is_declared():
    names = {canonicalize_name(needed.name) for needed in declared()}
    assert {canonicalize_name(package.distribution) for package in PACKAGES} <= names


def test_help_lists_every_target_with_what_it_does():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert {"help", "setup", "test", "check"} <= set(targets)
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in targets:
        assert re.search(rf"^ *make {target} +\w", said, re.MULTILINE), f"{target} has no line in make help"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of pretended programs; its Python 3.10 is a shim that does not run."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))

    def program(place: str, body: str) -> Path:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    program("bin/uname", "echo Linux x86_64")
    program("bin/python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    program("bin/nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    program("bin/uv", "exit 2")
    program("bin/python3", "echo 3.12.1 /usr/bin/python3.12")
    return program


def choose(tmp_path: Path, stack: str = "", python: str = "") -> list[str]:
    """What choose.sh prints, in words, for an environment in ``tmp_path``; or the error as one word."""
    command = [str(ROOT / "constraints" / "choose.sh"), str(tmp_path / "venv"), stack, python]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if done.returncode == 0:
        return done.stdout.split()
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    return [done.stderr]


def test_pyenvs_own_python_3_10_is_found_behind_its_shim(machine, tmp_path):
    python = machine("pyenv/versions/3.10.13/bin/python3.10", f"echo 3.10.13 {tmp_path}/310")
    stack, stamp, interpreter = choose(tmp_path)
    assert (stack, interpreter) == ("k2", f"{tmp_path}/310")
    assert stamp.startswith("installed-k2-3.10.13-")
    assert python.exists()


def test_uv_is_asked_last(machine, tmp_path):
    python = machine("uv/python", f"echo 3.10.2 {tmp_path}/uv310")
    machine("bin/uv", f'[ "$*" = "python find 3.10" ] && echo {python}')
    assert choose(tmp_path)[::2] == ["k2", f"{tmp_path}/uv310"]


def test_without_python_3_10_k2_is_refused_and_modern_taken(machine, tmp_path):
    assert choose(tmp_path)[::2] == ["modern", "/usr/bin/python3.12"]
    (error,) = choose(tmp_path, stack="k2")
    assert "needs a Python 3.10 and none was found" in error
    assert "STACK=modern" in error


@pytest.mark.parametrize(
    ("gpus", "stack"),
    [("8.6", "k2"), ("7.5 8.0", "k2"), ("8.9", "modern"), ("9.0", "modern"), ("8.0 12.0", "modern")],
)
def test_a_gpu_newer_than_k2s_kernels_makes_modern_the_default(machine, tmp_path, gpus, stack):
    machine("bin/python3.10", "echo 3.10.13 /usr/bin/python3.10")
    machine("bin/nvidia-smi", "printf '%s\\n' " + gpus)
    assert choose(tmp_path)[0] == stack
    assert choose(tmp_path, stack="k2")[0] == "k2"


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64"])
def test_k2_is_no_default_where_it_has_no_wheel(machine, tmp_path, system):
    machine("bin/python3.10", "echo 3.10.13 /usr/bin/python3.10")
    machine("bin/uname", f"echo {system}")
    assert choose(tmp_path)[0] == "modern"


def test_a_choice_is_kept_until_another_is_asked_for(machine, tmp_path):
    machine("bin/python3.10", "echo 3.10.13 /usr/bin/python3.10")
    mine = machine("mine/python", f"echo 3.11.4 {tmp_path}/mine/python")
    chosen = choose(tmp_path, stack="modern", python=str(mine))
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / chosen[1]).write_text(f"modern {mine}\n")
    assert choose(tmp_path) == chosen
    assert choose(tmp_path, stack="modern") == chosen
    assert choose(tmp_path, stack="k2")[::2] == ["k2", "/usr/bin/python3.10"]
    mine.unlink()
    assert choose(tmp_path)[::2] == ["modern", "/usr/bin/python3.12"]


def test_another_interpreter_version_or_place_is_another_stamp(machine, tmp_path):
    stamps = set()
    for version, path in [("3.10.13", "/a"), ("3.10.14", "/a"), ("3.10.13", "/b")]:
        machine("bin/python3.10", f"echo {version} {path}")
        stamps.add(choose(tmp_path)[1])
    (tmp_path / "moved").mkdir()
    command = [str(ROOT / "constraints" / "choose.sh"), "venv", "", ""]
    for folder in (tmp_path, tmp_path / "moved"):
        stamps.add(subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.split()[1])
    assert len(stamps) == 5


@pytest.mark.parametrize(
    ("stack", "version", "message"),
    [
        ("k2", "3.12.1", "is Python 3.12.1, and the k2 stack needs 3.10"),
        ("modern", "3.9.2", "is Python 3.9.2, expected 3.10 or later"),
        ("", "2.7.18", "is Python 2.7.18, expected 3.10 or later"),
        ("K2", "3.10.1", "STACK=K2: expected k2 or modern"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(machine, tmp_path, stack, version, message):
    python = machine("mine/python", f"echo {version} /mine/python")
    (error,) = choose(tmp_path, stack, str(python))
    assert message in error


def install(venv: Path, python: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "constraints" / "install.sh"), str(venv), "modern", "stamp", str(python)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_python_without_venv_is_reported_with_the_package(machine, tmp_path):
    """Debian's python3 without python3-venv has no ensurepip."""
    python = machine("mine/python", 'case "$2" in *ensurepip*) exit 1;; *) echo 3.11;; esac')
    done = install(tmp_path / "venv", python)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"asrkd: {python} cannot make virtual environments (it has no ensurepip); install that part of it, "
        "on Debian: sudo apt install python3.11-venv"
    ]


def test_a_folder_that_is_no_environment_is_never_replaced(machine, tmp_path):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "thesis.tex").write_text("mine")
    done = install(tmp_path / "venv", Path("python3"))
    assert done.returncode == 1
    assert "not ours to replace" in done.stderr
    assert (tmp_path / "venv" / "thesis.tex").read_text() == "mine"


def test_a_finished_environment_elsewhere_is_not_replaced(machine, tmp_path):
    """It may be another clone's, with programs at work in it."""
    python = machine("mine/python", "exit 1")
    venv = tmp_path / "it's theirs"
    for name in ("pyvenv.cfg", "installed-k2-3.10.13-1", "library.py"):
        venv.mkdir(exist_ok=True)
        (venv / name).touch()
    done = install(venv, python)
    assert done.returncode == 1
    quoted = str(venv).replace(" ", "\\ ").replace("'", "\\'")
    assert done.stderr == (
        f"asrkd: {venv}: made by another folder, or for another stack or Python; give another VENV=, "
        f"or to make it anew: rm -r {quoted}\n"
    )
    assert len(list(venv.iterdir())) == 3
    (venv / "installed-k2-3.10.13-1").unlink()  # an installation that was stopped
    install(venv, python)
    assert not (venv / "library.py").exists()
