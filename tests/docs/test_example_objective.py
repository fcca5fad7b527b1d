"""The objective of docs/contributing/index.md: its value, its types, and the config that names it."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from asrkd.models.conformer import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.targets.frames import FrameTargets
from tests.docs.pages import ROOT, Block, blocks

# Loads a config and prints the names of its objectives; the working directory comes first on sys.path.
LOAD = """
import sys
from pathlib import Path
from asrkd.core.config import load
from asrkd.training.config import TrainConfig
config = load(TrainConfig, Path(sys.argv[1]))
print(*[entry.name for phase in config.phases for entry in phase.objectives])
"""


def block(language: str) -> Block:
    """Return the page's only block in a language."""
    (block,) = (each for each in blocks(ROOT / "docs/contributing/index.md") if each.language == language)
    return block


@pytest.fixture
def cosine() -> ModuleType:
    source = block("python")
    module = ModuleType("cosine")
    exec(compile(source.text, str(source), "exec"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the repository's code and configs, with the objective's module in its place."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("asrkd", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "asrkd/objectives/cosine.py").write_text(block("python").text, encoding="utf-8")
    (folder / "my_config.yaml").write_text(block("yaml").text, encoding="utf-8")
    return folder


def run(folder: Path, *words: str) -> str:
    """Run Python in a folder and return its output; fail if it fails."""
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_config_names_the_objective_and_is_whole(checkout, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    assert run(checkout, "-c", LOAD, "my_config.yaml").split() == ["ctc", "cosine"]


@pytest.mark.slow
def test_the_module_passes_what_make_check_runs(checkout, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    module = "asrkd/objectives/cosine.py"
    run(checkout, "-m", "mypy", "--follow-imports=silent", "--cache-dir", str(checkout / "cache"), module)
    run(checkout, "-m", "ruff", "check", module)
    run(checkout, "-m", "ruff", "format", "--check", module)


def test_the_objective_shown_is_its_sum_without_padding(cosine):
    kind, counts = cosine.KIND, torch.tensor([4, 2])
    settings = kind.config.model_validate({"targets": "exp/x/hidden", "layer": 1, "scale": 0.5})
    encoder = SimpleNamespace(check_taps=lambda taps: None, layer_dim=lambda tap: 6)
    student = SimpleNamespace(frame_shift=0.04, encoder=encoder)
    objective = kind.build(settings, SimpleNamespace(dim=5, frame_shift=0.04), student)
    generator = torch.Generator().manual_seed(1)
    layer = torch.randn(2, 4, 6, generator=generator)
    teacher = torch.randn(2, 4, 5, generator=generator)
    layer[1, 2:], teacher[1, 2:] = torch.nan, torch.nan
    output = RecognizerOutput(torch.zeros(()), counts, {Tap(1, "after_norm"): layer})
    total = 0.0
    for row, count in enumerate(counts):
        for t in range(int(count)):
            projected = objective.project.weight.double() @ layer[row, t].double() + objective.project.bias
            wanted = teacher[row, t].double()
            total += 1 - float(projected @ wanted / projected.norm() / wanted.norm())
    targets = FrameTargets(teacher, counts, 0.04)
    assert float(objective(output, targets)) == pytest.approx(total, rel=1e-5)
    assert objective.count(targets, counts) == 6
    assert (kind.name, objective.taps()) == ("cosine", [Tap(1, "after_norm")])
