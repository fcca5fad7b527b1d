"""Model folders: what is saved is loaded, they move, and a broken one is a line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.models.directory import load_model, save_model


@pytest.fixture
def folder(teacher, tmp_path) -> Path:
    """A copy of the teacher, to be damaged."""
    return Path(shutil.copytree(teacher, tmp_path / "model", ignore=shutil.ignore_patterns("checkpoints")))


def test_a_model_comes_back_whole_from_another_place(teacher, folder):
    model, moved = load_model(teacher), load_model(folder)
    assert moved.architecture == model.architecture
    assert moved.tokens.symbols == model.tokens.symbols
    assert moved.weights_sha256 == model.weights_sha256 == files.sha256(folder / "model.safetensors")
    weights = load_file(str(folder / "model.safetensors"))
    assert weights.keys() == moved.recognizer.state_dict().keys()
    for name, value in moved.recognizer.state_dict().items():
        assert torch.equal(value, weights[name])
    assert not moved.recognizer.training
    assert not any(parameter.requires_grad for parameter in moved.recognizer.parameters())


def test_saving_it_again_gives_the_same_bytes(teacher, tmp_path):
    model = load_model(teacher)
    save_model(tmp_path, model.architecture, model.recognizer.state_dict(), model.tokens, {"seed": 1})
    for name in ("model.safetensors", "tokens.txt"):
        assert (tmp_path / name).read_bytes() == (teacher / name).read_bytes()
    assert load_model(tmp_path).architecture == model.architecture


def test_a_model_whose_weights_change_is_read_anew(teacher, folder):
    load_model(folder)
    weights = load_file(str(folder / "model.safetensors"))
    weights["ctc_head.bias"] = weights["ctc_head.bias"] + 1
    save_file(weights, str(folder / "model.safetensors"))
    found = load_model(folder)
    assert torch.equal(found.recognizer.state_dict()["ctc_head.bias"], weights["ctc_head.bias"])
    assert found.weights_sha256 != load_model(teacher).weights_sha256


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def drop_a_layer(path: Path) -> None:
    config = json.loads(path.read_text())
    config["architecture"]["conformer"]["num_layers"] = 1
    path.write_text(json.dumps(config))


def misspell(path: Path) -> None:
    path.write_text(path.read_text().replace('"num_layers"', '"num_layer"'))


def of_older_layers(path: Path) -> None:
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "version"}))


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        ("model.safetensors", Path.unlink, "no model.safetensors in it; finish it with: asrkd train"),
        ("model.safetensors", cut_short, "model.safetensors: corrupt, or of another architecture"),
        ("config.json", Path.unlink, "config.json: no such file"),
        ("config.json", cut_short, "config.json: torn or not JSON"),
        ("config.json", drop_a_layer, "model.safetensors: corrupt, or of another architecture"),
        ("config.json", misspell, "unknown key; did you mean 'num_layers'"),
        ("config.json", lambda path: path.write_text("[]"), "config.json: not the config of an asrkd model"),
        (
            "config.json",
            of_older_layers,
            "whose models had other layers; make the model again: rm -r .* && asrkd train",
        ),
        ("tokens.txt", Path.unlink, "tokens.txt: no such file"),
        ("tokens.txt", lambda path: path.write_text("<blk> 0\nA 1\n"), "its tokens are not those"),
    ],
)
def test_a_broken_folder_is_refused_in_a_line(folder, name, damage, complaint):
    damage(folder / name)
    with pytest.raises(AsrkdError, match=complaint) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_an_absent_folder_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(
        AsrkdError, match=f"no such model folder; train one with: asrkd train CONFIG --out {tmp_path}"
    ):
        load_model(tmp_path / "nowhere")
