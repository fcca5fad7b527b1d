"""Heads on layers below the last: one head a layer, its logits by hand, gradients, and what is exported."""

import pytest
import torch
from safetensors.torch import load_file

from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.train import TrainOptions, train
from asrkd.core.config import load
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.tokens import Tokens
from asrkd.models.encoder import Tap
from asrkd.training.config import TrainConfig
from asrkd.training.learner import Learner
from asrkd.training.loader import BatchReader, load_batches
from asrkd.training.metrics import read_metrics
from asrkd.training.training_data import build_learner, read_training_data
from tests.stop_after import StopAfter

LAYER = Tap(1, "after_norm")


@pytest.fixture(scope="module")
def posterior(teacher, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("stores") / "posterior"
    distill.posterior(
        DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), out), 4, "float16", StopRequest()
    )
    return out


def phases(posterior) -> str:
    guide = f"targets: {posterior}, layer: 1, scale: 0.25"
    return (
        f"phases=[{{steps: 6, objectives: [ctc, {{ctc: {{layer: 1, scale: 0.5}}}}, "
        f"{{softmax: {{{guide}}}}}, {{kl: {{{guide}}}}}]}}]"
    )


def learner(config, *overrides: str) -> Learner:
    experiment = load(TrainConfig, config, overrides)
    tokens = Tokens.load(experiment.data.tokens)
    return build_learner(experiment, read_training_data(experiment, tokens), tokens)


def first_batch(built: Learner, corpus):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))[:3]
    reader = BatchReader({cut.id: cut for cut in cuts}, built.sources)
    (batch,) = load_batches(reader, [tuple(cut.id for cut in cuts)])
    return batch.to(torch.device("cpu"), built.sources)


def test_objectives_of_a_layer_share_its_head_and_read_its_logits(config, corpus, posterior):
    built = learner(config, phases(posterior)).eval()
    labels = [term.label for term in built.terms[0]]
    assert labels == ["ctc", "ctc-layer1", "softmax-posterior-layer1", "kl-posterior-layer1"]
    (head,) = built.intermediate_heads.values()
    batch = first_batch(built, corpus)
    output = built.outputs(batch, [built.objective(label) for label in labels])
    by_hand = output.tapped[LAYER] @ head.weight.T + head.bias
    torch.testing.assert_close(output.frame_logits(LAYER), by_hand)
    probs, targets = by_hand.log_softmax(-1), batch.targets["ctc-layer1"]
    expected = sum(
        torch.nn.functional.ctc_loss(
            probs[row, :frames][:, None],
            targets.tokens[row, :length][None],
            [frames],
            [length],
            reduction="sum",
        )
        for row, (frames, length) in enumerate(
            zip(output.num_frames.tolist(), targets.num_tokens.tolist(), strict=True)
        )
    )
    torch.testing.assert_close(built.objective("ctc-layer1")(output, targets), expected)


def test_a_head_trains_the_layers_below_it_alone(config, corpus):
    built = learner(config, "phases=[{steps: 1, objectives: [{ctc: {layer: 1}}]}]")
    batch = first_batch(built, corpus)
    loss, _ = built(batch, built.terms[0], {"ctc-layer1": 1.0})
    loss.backward()
    encoder = built.student.encoder
    assert all(parameter.grad is not None for parameter in encoder.layers[0].parameters())
    assert all(parameter.grad is None for parameter in encoder.layers[1].parameters())
    assert built.student.ctc_head.weight.grad is None


def test_a_run_without_heads_draws_the_same_weights(config):
    plain, with_head = (
        learner(config, f"phases=[{{steps: 1, objectives: [{entries}]}}]").state_dict()
        for entries in ("ctc", "ctc, {ctc: {layer: 1}}")
    )
    assert {name for name in with_head if name not in plain} == {
        "intermediate_heads.1-after_norm.weight",
        "intermediate_heads.1-after_norm.bias",
    }
    assert all(torch.equal(value, with_head[name]) for name, value in plain.items())


def test_heads_are_validated_resumed_and_not_exported(config, posterior, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = TrainOptions("cpu", threads=1, resume=True)
    train(config, whole, [phases(posterior)], options, StopRequest())
    with pytest.raises(StoppedInTime):
        train(config, parts, [phases(posterior)], options, StopAfter(3))
    train(config, parts, [phases(posterior)], options, StopRequest())
    weights = [(run / "model.safetensors").read_bytes() for run in (whole, parts)]
    assert weights[0] == weights[1]
    assert not any("intermediate" in name for name in load_file(whole / "model.safetensors"))
    *_, validation = (row for row in read_metrics(whole / "metrics.jsonl") if row["kind"] == "validation")
    assert validation["loss_ctc-layer1"] > 0


@pytest.mark.parametrize("name", ["ctc", "softmax", "kl", "guided_ctc"])
def test_a_layer_that_is_not_there_is_refused(config, posterior, name):
    targets = "" if name == "ctc" else f"targets: {posterior}, "
    with pytest.raises(AsrkdError, match=f"objectives, {name}: layer 9: the encoder has layers 1 to 2"):
        learner(config, f"phases=[{{steps: 1, objectives: [{{{name}: {{{targets}layer: 9}}}}]}}]")
