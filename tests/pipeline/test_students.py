"""Students: a config alone makes one learn from stores, and a store that does not fit stops it at once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asrkd.commands.train import TrainOptions, train
from asrkd.core import output_folder
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.models.directory import load_model


def student(config: Path, out: Path, objectives: str, *overrides: str) -> None:
    """Train for three updates."""
    phases = f"phases=[{{steps: 3, objectives: {objectives}}}]"
    train(config, out, [phases, *overrides], TrainOptions("cpu", threads=1), StopRequest())


OBJECTIVES = {
    "nbest": "[{{ctc: {{targets: {0}/nbest, num_hypotheses: 3}}}}]",
    "codebook": "[ctc, {{codebook: {{targets: {0}/codebook, layer: 1, scale: 0.5}}}}]",
    "all": (
        "[ctc, {{ctc: {{targets: {0}/nbest}}}}, {{codebook: {{targets: {0}/codebook, layer: 2, delay: 1}}}}]"
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_students_learn_by_config_and_export_no_heads(config, stores, tmp_path, name):
    student(config, tmp_path / "plain", "[ctc]")
    student(config, tmp_path / "student", OBJECTIVES[name].format(stores), "validation.every_steps=3")
    plain, taught = (load_file(str(tmp_path / who / "model.safetensors")) for who in ("plain", "student"))
    assert {key: value.shape for key, value in taught.items()} == {
        key: value.shape for key, value in plain.items()
    }
    assert any(not torch.equal(taught[key], plain[key]) for key in plain)
    assert load_model(tmp_path / "student").architecture == load_model(tmp_path / "plain").architecture
    stores_used = json.loads((tmp_path / "student/lineage.json").read_text())["target_stores"]
    assert len(stores_used) == {"nbest": 1, "codebook": 1, "all": 2}[name]


def test_a_store_of_other_audio_is_refused_at_once(config, stores, corpus, tmp_path):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    cuts[7].custom = {"audio_sha256": "f" * 64}
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    for name in OBJECTIVES:
        objectives = OBJECTIVES[name].format(stores)
        with pytest.raises(AsrkdError, match="targets of cut train-007 were made of other audio"):
            student(config, tmp_path / "student", objectives, f"data.train={tmp_path}/cuts.jsonl.gz")
    assert not (tmp_path / "student").exists()


def test_a_store_must_have_every_training_cut(config, stores, corpus, tmp_path):
    dev = f"data.train={corpus}/cuts_dev.jsonl.gz"
    with pytest.raises(AsrkdError, match="no targets for cut dev-000"):
        student(config, tmp_path / "student", OBJECTIVES["all"].format(stores), dev)
    assert not (tmp_path / "student").exists()
    write_cuts(tmp_path / "some.jsonl.gz", read_cuts(corpus / "cuts_train.jsonl.gz")[5:20])
    student(
        config, tmp_path / "student", OBJECTIVES["all"].format(stores), f"data.train={tmp_path}/some.jsonl.gz"
    )
    assert output_folder.read_stamp(tmp_path / "student", "")["steps"] == 3


@pytest.mark.parametrize(
    ("objectives", "complaint"),
    [
        ("[{{codebook: {{targets: {0}/nbest, layer: 1}}}}]", "holds 'nbest' targets, expected 'codebook'"),
        ("[{{ctc: {{targets: {0}/codebook}}}}]", "holds 'codebook' targets, expected 'nbest'"),
        ("[{{ctc: {{targets: {0}/quantizer}}}}]", "holds 'quantizer' targets, expected 'nbest'"),
    ],
)
def test_a_store_of_the_wrong_kind_is_refused(config, stores, tmp_path, objectives, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        student(config, tmp_path / "student", objectives.format(stores))
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize(("delay", "warned"), [(1000, ["codebook"]), (1, [])])
def test_an_objective_that_never_has_a_target_is_named(
    config, stores, tmp_path, capsys, monkeypatch, delay, warned
):
    """A delay longer than the audio leaves no frame to predict; the loss is 0, as if all were learned."""
    monkeypatch.setattr("asrkd.training.update.MAX_IDLE", 2)
    student(
        config,
        tmp_path / "student",
        OBJECTIVES["codebook"].format(stores).replace("scale: 0.5", f"delay: {delay}"),
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if "no target in 2 updates" in line]
    assert [line.partition("objective ")[2].partition(":")[0] for line in lines] == warned
