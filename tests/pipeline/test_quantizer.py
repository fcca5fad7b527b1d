"""The commands of quantizers: out to multi_quantization, in again, and drawn."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from asrkd.commands import distill, quantizer
from asrkd.commands.check import check
from asrkd.commands.distill_request import DistillRequest
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.models.encoder import Tap
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.store.arrays import ArrayStore
from asrkd.teachers.loading import open_teacher


@pytest.fixture
def exported(stores, tmp_path):
    """The quantizer of the fixture `stores` as icefall would have it."""
    said = quantizer.export_quantizer(stores / "quantizer", tmp_path / "quantizer.pt")
    identity = load_quantizer(stores / "quantizer").identity
    assert "codebook_size=256, num_codebooks=2)" in said
    assert f"id {identity[:8]}, the mean folded in" in said
    return tmp_path / "quantizer.pt"


def test_out_and_in_again_it_gives_the_same_codes(exported, stores, teacher, corpus, tmp_path):
    cuts = corpus / "cuts_train.jsonl.gz"
    source = quantizer.Source(exported, teacher, 2)
    said = quantizer.import_quantizer(source, tmp_path / "q")
    assert said == f"{tmp_path / 'q'}: 2 codebooks of 256 entries for layer 2"
    assert "already complete" in quantizer.import_quantizer(source, tmp_path / "q")
    distill.codebook(DistillRequest(teacher, (cuts,), tmp_path / "codes"), tmp_path / "q", StopRequest())
    ours, theirs = ArrayStore(stores / "codebook", "codebook"), ArrayStore(tmp_path / "codes", "codebook")
    same = torch.cat([(ours.read(cut.id) == theirs.read(cut.id)).all(dim=1) for cut in read_cuts(cuts)])
    assert same.float().mean() > 0.98
    assert check(tmp_path / "q").problems == ()
    contract = json.loads((tmp_path / "q/contract.json").read_text())
    assert contract["imported"]["id"] == load_quantizer(stores / "quantizer").identity[:8]
    assert (contract["layer"], contract["tap"]) == (2, "after_norm")


def test_what_cannot_be_taken_in_is_refused(exported, stores, teacher, tmp_path):
    with pytest.raises(AsrkdError, match="quantizer.pt: exists already; give another --out"):
        quantizer.export_quantizer(stores / "quantizer", exported)
    with pytest.raises(AsrkdError, match="--layer 3: .*layers 1 to 2"):
        quantizer.import_quantizer(quantizer.Source(exported, teacher, 3), tmp_path / "q")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(AsrkdError, match="other.pt: multi_quantization state: expected 'centers'"):
        quantizer.import_quantizer(quantizer.Source(tmp_path / "other.pt", teacher, 2), tmp_path / "q")
    state = {
        "centers": torch.zeros(2, 4, 7), "logits_scale": torch.zeros(()), "centers_scale": torch.zeros(()),
        "to_logits.weight": torch.zeros(8, 7), "to_logits.bias": torch.zeros(8),
    }  # fmt: skip
    torch.save(state, tmp_path / "seven.pt")
    opened = open_teacher(teacher)
    dim = opened.layer_dim(opened.tap(2))
    with pytest.raises(AsrkdError, match=f"seven.pt: takes embeddings of 7 values, layer 2 of .* has {dim}"):
        quantizer.import_quantizer(quantizer.Source(tmp_path / "seven.pt", teacher, 2), tmp_path / "q")
    assert not (tmp_path / "q").exists()


def test_a_plot_has_a_point_for_each_quantizer(stores, tmp_path):
    said = quantizer.plot_quantizers([stores / "quantizer"], tmp_path / "error.svg")
    assert said == f"{tmp_path / 'error.svg'}: 1 quantizer of 1 layer"
    drawing = ElementTree.parse(tmp_path / "error.svg").getroot()
    titles = [element.text for element in drawing.iter() if element.tag.endswith("title")]
    error = load_quantizer(stores / "quantizer").report["held_out_errors"][-1]
    assert len(titles) == 1
    assert titles[0].endswith(f"layer 2: {error:.3f} at 2 bytes")
    with pytest.raises(AsrkdError, match=r"error.png: expected a name that ends in .svg"):
        quantizer.plot_quantizers([stores / "quantizer"], tmp_path / "error.png")


def test_an_imported_quantizer_has_no_figures_to_draw(exported, teacher, tmp_path):
    quantizer.import_quantizer(quantizer.Source(exported, teacher, 2), tmp_path / "q")
    with pytest.raises(AsrkdError, match="no report .* train a quantizer into another --out"):
        quantizer.plot_quantizers([tmp_path / "q"], tmp_path / "error.svg")


def test_an_imported_quantizer_refuses_another_layer(exported, teacher, tmp_path):
    quantizer.import_quantizer(quantizer.Source(exported, teacher, 1, "before_norm"), tmp_path / "q")
    contract = load_quantizer(tmp_path / "q").contract
    assert Tap(contract["layer"], contract["tap"]) == Tap(1, "before_norm")
