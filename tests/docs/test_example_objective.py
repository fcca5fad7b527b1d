"""The objective that docs/contributing/index.md shows: it is one, and computes what the page says."""

from types import ModuleType, SimpleNamespace

import pytest
import torch

from asrkd.models.conformer import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.targets.frames import FrameTargets
from tests.docs.pages import ROOT, blocks


@pytest.fixture
def cosine() -> ModuleType:
    (shown,) = (block for block in blocks(ROOT / "docs/contributing/index.md") if block.language == "python")
    module = ModuleType("cosine")
    exec(compile(shown.text, str(shown), "exec"), module.__dict__)
    return module


def test_the_objective_shown_is_its_sum_without_padding(cosine):
    kind, counts = cosine.KIND, torch.tensor([4, 2])
    settings = kind.config.model_validate({"targets": "exp/x/hidden", "layer": 1, "scale": 0.5})
    encoder = SimpleNamespace(check_taps=lambda taps: None)
    student = SimpleNamespace(frame_shift=0.04, dim=6, encoder=encoder)
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
