"""The stage `train` with attention decoders: they learn, stopping changes nothing, folders are whole."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from asrkd.commands.distill import hidden, posterior
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import load_features
from asrkd.models.directory import load_model, read_architecture
from asrkd.models.encoder import Tap
from asrkd.targets.store.arrays import ArrayStore
from asrkd.training.metrics import read_metrics
from tests.pipeline.test_train import weights
from tests.stop_after import StopAfter

LAYERS = {"num_layers": 1, "dim": 16, "num_heads": 2, "feed_forward_dim": 24, "dropout": 0.1}
LAS = {
    "encoder": {"las": {"num_layers": 1, "dim": 12, "channels": 2, "kernel_size": [5, 2], "dropout": 0.1}},
    "decoder": {"las": {"num_layers": 1, "dim": 12, "embedding_dim": 4, "attention_channels": 5,
                        "attention_kernel_size": 3, "dropout": 0.1}},
}  # fmt: skip
MODELS = {
    "transformer": {
        "encoder": {"transformer": LAYERS | {"front_end_channels": 2}},
        "decoder": {"transformer": LAYERS},
        "ctc": False,
    },
    "las": LAS | {"ctc": False},
    "joint": {
        "encoder": {"conformer": LAYERS | {"kernel_size": 5, "front_end_channels": 2}},
        "decoder": LAS["decoder"],
        "ctc": True,
    },
}
OBJECTIVES = {
    "transformer": [{"attention": {"label_smoothing": 0.1}}],
    "las": [{"attention": {"teacher_forcing": 0.4}}],
    "joint": [{"ctc": {"scale": 0.3}}, {"attention": {"scale": 0.7}}],
}


def run(config: Path, out: Path, kind: str, steps: int, *more: str, **flags):
    phases = [{"steps": steps, "objectives": OBJECTIVES[kind]}]
    overrides = [f"model={yaml.safe_dump(MODELS[kind], default_flow_style=True)}", *more]
    overrides.append(f"phases={yaml.safe_dump(phases, default_flow_style=True)}")
    options = TrainOptions(device="cpu", threads=1, resume=flags.get("resume", False))
    return train(config, out, overrides, options, flags.get("stop") or StopRequest())


@pytest.mark.parametrize("kind", MODELS)
def test_steps_lower_the_loss_on_dev_and_the_folder_is_whole(config, tmp_path, kind):
    plain = ("augment={specaugment: null}", "optim.lr=0.02", "validation.every_steps=40")
    report = run(config, tmp_path / "run", kind, 40, *plain)
    records = [r for r in read_metrics(tmp_path / "run/metrics.jsonl") if r["kind"] == "validation"]
    assert records[-1]["loss"] < 0.8 * records[0]["loss"]
    assert records[-1]["loss_attention"] < 0.85 * records[0]["loss_attention"]
    assert report.validation["wer"] >= 0
    model = load_model(tmp_path / "run")
    assert (model.recognizer.has_ctc, model.recognizer.has_decoder) == (kind == "joint", True)
    assert read_architecture(tmp_path / "run").kind == "encoder-decoder"
    written = json.loads((tmp_path / "run/config.json").read_text())["architecture"]["parts"]
    assert len(written["encoder"]) == len(written["decoder"]) == 1  # no word of what it is not


@pytest.mark.parametrize("kind", MODELS)
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes(config, tmp_path, kind):
    run(config, tmp_path / "whole", kind, 6)
    with pytest.raises(StoppedInTime):
        run(config, tmp_path / "parts", kind, 6, stop=StopAfter(3))
    run(config, tmp_path / "parts", kind, 6, resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_other_objectives_read_the_layers_of_these_encoders(config, stores, tmp_path):
    """MVQ-KD in a Transformer's first layer, before the norm that only the last has behind it."""
    codebook = {"codebook": {"targets": str(stores / "codebook"), "layer": 1, "tap": "before_norm"}}
    phases = [{"steps": 3, "objectives": ["attention", codebook]}]
    model = MODELS["transformer"] | {"encoder": {"transformer": LAYERS | {"num_layers": 2}}}
    overrides = [f"{k}={yaml.safe_dump(v, default_flow_style=True)}" for k, v in
                 (("model", model), ("phases", phases))]  # fmt: skip
    report = train(config, tmp_path / "run", overrides, TrainOptions("cpu", threads=1), StopRequest())
    assert report.steps == 3
    overrides[1] = overrides[1].replace("before_norm", "after_norm")
    with pytest.raises(AsrkdError, match="layer 1 of this encoder has no after_norm: take before_norm"):
        train(config, tmp_path / "other", overrides, TrainOptions("cpu", threads=1), StopRequest())


@pytest.mark.parametrize("kind", ["transformer", "las"])
def test_their_layers_are_stored_like_those_of_any_teacher(config, corpus, tmp_path, kind):
    run(config, tmp_path / "run", kind, 1)
    model = load_model(tmp_path / "run").recognizer
    question = DistillRequest(tmp_path / "run", (corpus / "cuts_dev.jsonl.gz",), tmp_path / "store")
    assert f"{model.dim} values a frame of layer 1" in hidden(question, 1, "float32", StopRequest())
    cut = read_cuts(corpus / "cuts_dev.jsonl.gz")[2]
    features = load_features(cut)
    place = model.encoder.places(1)[0]
    output = model(features[None], torch.tensor([len(features)]), [Tap(1, place)])
    stored = ArrayStore(tmp_path / "store", "hidden").read(cut.id)
    torch.testing.assert_close(stored, output.tapped[Tap(1, place)][0])


def test_frames_have_no_posteriors_where_there_is_no_ctc_head(config, corpus, tmp_path):
    run(config, tmp_path / "run", "las", 1)
    question = DistillRequest(tmp_path / "run", (corpus / "cuts_dev.jsonl.gz",), tmp_path / "store")
    with pytest.raises(AsrkdError, match="without a CTC head"):
        posterior(question, 3, "float32", StopRequest())


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("model={encoder: {las: {}}, ctc: false}", "expected a decoder, a transducer, ctc: true, or several"),
        ("model={encoder: {}, ctc: true}", "model.encoder: .*expected one of conformer, transformer, las"),
        ("model={encoder: {las: {dimm: 3}}, ctc: true}", "model.encoder.las.dimm: unknown key; .*'dim'"),
        ("model={encoder: {las: {}}, ctcc: true}", "model.ctc: missing|did you mean 'ctc'"),
        ("model={encoder: {las: {}}, decoder: {las: {}}, ctc: false}", "8 features are too few"),
        ("phases=[{steps: 1, objectives: [attention]}]", "objectives, attention: .* no attention decoder"),
    ],
)
def test_a_mistake_in_the_model_is_a_line_and_makes_no_folder(config, tmp_path, override, complaint):
    with pytest.raises(AsrkdError, match=complaint) as error:
        train(config, tmp_path / "run", [override], TrainOptions("cpu", threads=1), StopRequest())
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
