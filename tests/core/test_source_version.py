"""The commit of the running source, in repositories that the tests make."""

import os
import subprocess
from pathlib import Path

import pytest

from asrkd.core.source_version import SourceVersion, source_version


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that is committed in a repository."""
    folder = tmp_path / "repository/package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", ".")
    git(folder.parent, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=plain, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_change_of_a_tracked_file_is_dirty_and_a_new_file_is_not(package):
    commit = git(package, "rev-parse", "HEAD")
    assert source_version(package) == SourceVersion(commit, False)
    (package / "new.py").write_text("")
    assert source_version(package) == SourceVersion(commit, False)
    (package / "__init__.py").write_text("changed = True")
    assert source_version(package) == SourceVersion(commit, True)


def test_a_package_that_git_does_not_track_has_no_commit(package, tmp_path):
    installed = package.parent / "venv/asrkd"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert source_version(installed) is None
    (tmp_path / "alone").mkdir()
    assert source_version(tmp_path / "alone") is None


def test_without_git_and_within_a_hook_of_another_repository(package, tmp_path, monkeypatch):
    commit = git(package, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    assert source_version(package) == SourceVersion(commit, False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert source_version(package) is None
