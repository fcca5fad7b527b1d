"""Transducers from training to hypotheses: exact resume, two processes, Seq-KD from a transducer teacher."""

from pathlib import Path

import pytest
import torch

from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.score import ScoreRequest, score
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import StoppedInTime
from asrkd.core.installed import version
from asrkd.core.stopping import StopRequest
from asrkd.decoding import SearchOptions
from asrkd.models.directory import load_model
from asrkd.training import checkpoint as ckpt
from asrkd.training.metrics import read_metrics
from tests.pipeline.test_train_processes import Run, command, gradients
from tests.stop_after import StopAfter

CONFIG = """
data: {{train: {folder}/cuts_train.jsonl.gz, dev: {folder}/cuts_dev.jsonl.gz, tokens: {folder},
        max_duration: 6, num_buckets: 2}}
model:
  encoder: {{conformer: {{num_layers: 2, dim: 16, num_heads: 2, feed_forward_dim: 24, kernel_size: 5,
                          front_end_channels: 2}}}}
  transducer: {{predictor_dim: 12, joiner_dim: 10}}
  ctc: false
optim: {{lr: 0.01, warmup_steps: 3}}
validation: {{every_steps: 4}}
phases: [{{steps: 8, objectives: [{{transducer: {{prune_range: 3, warmup_updates: 6}}}}]}}]
"""
STOP = StopRequest()


@pytest.fixture(scope="module")
def config(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transducer") / "config.yaml"
    path.write_text(CONFIG.format(folder=corpus))
    return path


def run(config: Path, out: Path, *overrides: str, stop: StopRequest = STOP, resume: bool = False) -> Path:
    train(config, out, overrides, TrainOptions("cpu", threads=1, resume=resume), stop)
    return out


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(config, tmp_path_factory.mktemp("whole") / "run")


def test_a_run_that_is_stopped_in_the_warm_up_resumes_exactly(config, whole, tmp_path):
    with pytest.raises(StoppedInTime):
        run(config, tmp_path / "run", stop=StopAfter(4))
    checkpoint = ckpt.load_latest(tmp_path / "run/checkpoints")
    (updates,) = [value for name, value in checkpoint.weights.items() if name.endswith("num_updates")]
    assert int(updates) == checkpoint.position.step < 6
    run(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_the_maps_of_the_simple_loss_stay_in_training(whole):
    names = load_model(whole).recognizer.state_dict()
    assert any(name.startswith("transducer.predictor") for name in names)
    assert not any(name.endswith(("am.weight", "lm.weight", "num_updates")) for name in names)
    valid = [record for record in read_metrics(whole / "metrics.jsonl") if record["kind"] == "validation"]
    assert [record["step"] for record in valid] == [0, 4, 8]
    assert all(0 < record["loss"] < 50 and record["words"] > 0 for record in valid)
    if version("k2") is None:  # both are the exact loss of the transcripts then
        assert valid[-1]["loss"] == pytest.approx(valid[-1]["loss_transducer"], rel=1e-5)


def test_a_transducer_teacher_labels_for_a_transducer_student(config, whole, corpus, tmp_path):
    cuts = (corpus / "cuts_train.jsonl.gz",)
    request = DistillRequest(whole, cuts, tmp_path / "nbest")
    distill.nbest(request, "transducer-beam", SearchOptions(beam=4, num_best=3), STOP)
    objective = f"{{transducer: {{targets: {tmp_path / 'nbest'}, num_hypotheses: 3, weights: {{beta: 1}}}}}}"
    student = run(config, tmp_path / "student", f"phases.0.objectives=[{objective}]")
    score(ScoreRequest(student, corpus / "cuts_dev.jsonl.gz", tmp_path / "score", "transducer-beam"), STOP)
    (last,) = [r for r in read_metrics(student / "metrics.jsonl") if (r["kind"], r["step"]) == ("train", 8)]
    assert 0 < last["loss_transducer-nbest"] < 50


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["auto", "full"])
def test_two_processes_have_the_gradient_of_one(loss, config, tmp_path):
    _check_two_processes(config, tmp_path, loss)


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("loss", ["auto", "full"])
def test_two_processes_have_the_gradient_of_one_on_a_gpu(loss, config, tmp_path):
    _check_two_processes(config, tmp_path, loss, ("--device", "cuda"))


def _check_two_processes(config: Path, folder: Path, loss: str, flags: tuple[str, ...] = ()) -> None:
    """An update of four batches, with dropout, of one process and of two."""
    overrides = (
        f"phases=[{{steps: 1, objectives: [{{transducer: {{loss: {loss}, prune_range: 3}}}}]}}]",
        "optim.accumulate=4", "data.max_duration=3", "optim.clip_norm=1e9",
        "model.encoder.conformer.dropout=0.2",
    )  # fmt: skip
    runs = []
    for count in (1, 2):
        (folder / str(count)).mkdir()
        out = folder / str(count) / "run"
        processes = Run(folder / str(count), [command(config, out, overrides, flags)] * count)
        assert processes.wait() == [0] * count, processes.complaints()
        runs.append(gradients(out))
    assert runs[0].keys() == runs[1].keys() and runs[0]
    for name, gradient in runs[0].items():
        torch.testing.assert_close(runs[1][name], gradient, rtol=1e-4, atol=1e-6)
