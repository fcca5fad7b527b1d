"""The site of docs/: every page has its place, and it is built without a warning and without the network."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from tests.docs.pages import ROOT

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def listed(nav: object) -> list[str]:
    """The pages of a part of the navigation."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in listed(part)]  # type: ignore[attr-defined]


def test_every_page_stands_in_the_navigation_once():
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    named = listed(CONFIG["nav"])
    assert sorted(named) == sorted(there)


def test_every_package_has_a_page_of_the_api():
    packages = {path.parent.name for path in ROOT.glob("asrkd/*/__init__.py")}
    stems = {path.stem for path in (ROOT / "docs/reference/api").glob("*.md")}
    assert stems == packages | {"index"}


@pytest.mark.slow
def test_the_site_builds_strictly_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="no mkdocs here; make setup installs it")
    pytest.importorskip("mkdocstrings", reason="no mkdocstrings here; make setup installs it")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|img|iframe)[^>]* src=\"?(?:https?:)?//", text), page
        assert not re.search(r"<link [^>]*href=\"?(?:https?:)?//", text), page
    home = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert (
        re.findall(r'<a href="([^"]*)"[^>]* class="md-(?:header|nav)__button md-logo"', home)
        == ["index.html"] * 2
    )
    commands = (tmp_path / "site/reference/cli.html").read_text(encoding="utf-8")
    assert "asrkd distill nbest" in commands and "--noise-snr-db" in commands
    config = (tmp_path / "site/reference/config.html").read_text(encoding="utf-8")
    assert "num_hypotheses" in config and "teacher_forcing" in config
    api = (tmp_path / "site/reference/api/decoding.html").read_text(encoding="utf-8")
    assert "asrkd.decoding.prefix_beam" in api and "arXiv:1408.2873" in api
