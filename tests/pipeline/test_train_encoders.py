"""Encoders of convolutions and LSTMs, and of other rates: trained, stored by layer, tapped and scored."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from asrkd.commands.check import check
from asrkd.commands.distill import hidden
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.score import ScoreRequest, score
from asrkd.commands.train import TrainOptions, train
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import load_features
from asrkd.evaluation.costs.multiply_adds import count_multiply_adds
from asrkd.evaluation.costs.real_time import recognize
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.targets.store.arrays import ArrayStore
from asrkd.training.metrics import read_metrics
from tests.models.small import ENCODERS

NEW = ["jasper", "quartznet", "deepspeech2"]


def run(config: Path, out: Path, kind: str, steps: int, objectives: str = "[ctc]", **changes: object) -> None:
    model = {"encoder": {kind: ENCODERS[kind][kind] | changes}, "ctc": True}
    model = json.loads(json.dumps(model))  # lists in place of tuples
    overrides = [
        f"model={yaml.safe_dump(model, default_flow_style=True, width=10**6)}",
        f"phases=[{{steps: {steps}, objectives: {objectives}}}]",
        f"validation.every_steps={steps}",
        "augment={specaugment: null}",
        "optim.lr=0.02",
    ]
    train(config, out, overrides, TrainOptions("cpu", threads=1), StopRequest())


@pytest.mark.parametrize(
    ("kind", "rate"), [("jasper", 4), ("quartznet", 2), ("deepspeech2", 4), ("conformer", 8)]
)
def test_steps_lower_the_loss_on_dev(config, tmp_path, kind, rate):
    run(config, tmp_path / "run", kind, 30, subsampling=rate)
    losses = [r["loss"] for r in read_metrics(tmp_path / "run/metrics.jsonl") if r["kind"] == "validation"]
    assert losses[-1] < 0.8 * losses[0]
    model = load_model(tmp_path / "run").recognizer
    assert model.encoder.subsampling == rate


@pytest.fixture(scope="module")
def trained(lasting_config, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    for kind in NEW:
        run(lasting_config, folder / kind, kind, 4, subsampling=2)
    return folder


@pytest.mark.parametrize("kind", NEW)
def test_a_layer_is_stored_in_its_width_and_learned_by_a_layer_of_another(
    trained, config, corpus, tmp_path, kind
):
    teacher, cuts = trained / kind, corpus / "cuts_train.jsonl.gz"
    encoder = load_model(teacher).recognizer.encoder
    tap = Tap(2, encoder.places(2)[-1])
    stored = hidden(
        DistillRequest(teacher, (cuts,), tmp_path / "store"), tap.layer, "float32", StopRequest(), tap.place
    )
    assert encoder.layer_dim(tap) != encoder.dim
    assert f"{encoder.layer_dim(tap)} values a frame of layer 2" in stored
    cut = read_cuts(cuts)[2]
    features = load_features(cut)
    output = encoder(features[None], torch.tensor([len(features)]), [tap])
    store = ArrayStore(tmp_path / "store", "hidden")
    torch.testing.assert_close(store.read(cut.id), output.tapped[tap][0])
    assert store.contract["frame_shift"] == pytest.approx(0.02)
    objectives = f"[{{embedding: {{targets: {tmp_path}/store, layer: 3}}}}]"
    run(config, tmp_path / "student", "quartznet", 2, objectives)  # a frame for every two of the teacher's
    for folder in ("student", "store"):
        assert check(tmp_path / folder).problems == ()


@pytest.mark.parametrize("kind", NEW)
def test_a_model_is_scored_and_its_products_are_counted(trained, corpus, tmp_path, kind):
    report = score(
        ScoreRequest(trained / kind, corpus / "cuts_dev.jsonl.gz", tmp_path / "score"), StopRequest()
    )
    assert report.counts.num_words > 0
    model, cut = load_model(trained / kind), read_cuts(corpus / "cuts_dev.jsonl.gz")[0]
    features = load_features(cut)
    counted = count_multiply_adds(lambda: recognize(model, features))
    assert not counted.uncounted
    if kind != "deepspeech2":  # all layers but the features' normalization work at the rate of encoder frames
        weights = sum(p.numel() for p in model.recognizer.parameters() if p.dim() > 1)
        assert counted.total == -(-len(features) // 2) * weights
