"""A student at 25 Hz of a teacher that reads audio at 50 Hz: stored or asked, two of its frames at a time."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from asrkd.commands import distill, distill_quantizer
from asrkd.commands.distill_request import DistillRequest, quantizer_request
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.training.metrics import read_metrics
from tests.teachers.tiny import torchaudio_model

CONFIG = """
data: {{train: {folder}/cuts_train.jsonl.gz, dev: {folder}/cuts_dev.jsonl.gz, tokens: {folder},
        max_duration: 6, num_buckets: 2}}
model: {{num_layers: 2, dim: 16, num_heads: 2, feed_forward_dim: 24, kernel_size: 5, front_end_channels: 2}}
validation: {{every_steps: 3}}
phases: [{{steps: 3, objectives: [ctc]}}]
"""


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    torchaudio_model(tmp_path / "hubert", "large")
    return tmp_path / "hubert"


def student(folder: Path, spoken: Path, name: str, objective: str, targets: object) -> Path:
    """Train for three updates toward ``targets``."""
    (folder / "config.yaml").write_text(CONFIG.format(folder=spoken))
    objectives = f"[ctc, {{{objective}: {{targets: {json.dumps(targets)}, layer: 1}}}}]"
    phases = f"phases=[{{steps: 3, objectives: {objectives}}}]"
    train(folder / "config.yaml", folder / name, [phases], TrainOptions("cpu", threads=1), StopRequest())
    return folder / name


def test_stored_and_live_targets_agree_also_on_dev_cuts(teacher, spoken, tmp_path):
    cuts, stop = (spoken / "cuts_train.jsonl.gz",), StopRequest()
    distill.hidden(DistillRequest(teacher, cuts, tmp_path / "hidden"), 2, "float32", stop)
    request = quantizer_request(2, 4, steps=3)
    distill_quantizer.quantizer(DistillRequest(teacher, cuts, tmp_path / "quantizer"), request, stop)
    distill.codebook(DistillRequest(teacher, cuts, tmp_path / "codebook"), tmp_path / "quantizer", stop)
    live = {"teacher": str(teacher)}
    pairs = {
        "embedding": (str(tmp_path / "hidden"), live | {"layer": 2}),
        "codebook": (str(tmp_path / "codebook"), live | {"quantizer": str(tmp_path / "quantizer")}),
    }
    for objective, (stored, asked) in pairs.items():
        runs = [
            student(tmp_path, spoken, f"{objective}-{n}", objective, own)
            for n, own in enumerate((stored, asked))
        ]
        one, other = ((run / "model.safetensors").read_bytes() for run in runs)
        assert one == other
        for run in runs:
            (last,) = [
                own for own in read_metrics(run / "metrics.jsonl") if own["step"] == 3 and "wer" in own
            ]
            assert any(key.startswith(f"loss_{objective}") for key in last)
    (checkpoint,) = (tmp_path / "codebook-0/checkpoints").iterdir()
    with safe_open(str(checkpoint), framework="pt") as stream:
        assert stream.get_slice("weights/objectives.codebook.predict.weight").get_shape() == [2 * 4 * 256, 16]


def test_audio_of_another_rate_needs_resampling(teacher, corpus, tmp_path):
    """The corpus of all tests is at 8 kHz, and has no audio at all: asked, it would fail much later."""
    with pytest.raises(AsrkdError, match="8000 Hz"):
        student(tmp_path, corpus, "student", "embedding", {"teacher": str(teacher), "layer": 2})
    assert not (tmp_path / "student").exists()
