"""Quantizers on disk: back as they were, or refused with the command that makes them."""

import json

import pytest
import torch
from safetensors.torch import save_file

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.multi_quantization import read_reference_state
from asrkd.quantizer.report import measure
from asrkd.quantizer.search.search import REFERENCE, IndexSearch
from asrkd.quantizer.storage import load_quantizer, save_quantizer

CONTRACT = {"teacher_sha256": "ab12", "layer": 6}


@pytest.fixture
def quantizer(generator):
    made = DirectSumQuantizer(5, num_codebooks=2, codebook_size=4)
    with torch.no_grad():
        for value in made.state_dict().values():
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return made


@pytest.fixture
def saved(tmp_path, quantizer, generator):
    frames = torch.randn(120, 5, generator=generator)
    report = measure(quantizer, frames[:20], frames[20:])
    save_quantizer(tmp_path / "q", quantizer, report, CONTRACT)
    return tmp_path / "q"


def test_comes_back_as_it_was(saved, quantizer, generator):
    loaded = load_quantizer(saved)
    frames = torch.randn(30, 5, generator=generator)
    assert torch.equal(loaded.quantizer.encode(frames), quantizer.encode(frames))
    for name, value in quantizer.state_dict().items():
        assert torch.equal(loaded.quantizer.state_dict()[name], value)
    assert loaded.contract == CONTRACT
    assert not any(parameter.requires_grad for parameter in loaded.quantizer.parameters())


def test_its_identity_is_the_hash_of_its_weights(saved):
    assert load_quantizer(saved).identity == files.sha256(saved / "quantizer.safetensors")


def test_saved_twice_the_bytes_are_the_same(saved, quantizer, generator, tmp_path):
    frames = torch.randn(120, 5, generator=generator)
    again = measure(quantizer, frames[:20], frames[20:])
    first = save_quantizer(tmp_path / "a", quantizer, again, CONTRACT)
    second = save_quantizer(tmp_path / "b", quantizer, again, CONTRACT)
    assert first == second == load_quantizer(saved).identity
    descriptions = [(tmp_path / folder / "quantizer.json").read_bytes() for folder in "ab"]
    assert descriptions[0] == descriptions[1]
    assert sorted(p.name for p in saved.iterdir()) == ["quantizer.json", "quantizer.safetensors"]


def test_the_description_holds_the_sizes_and_the_report(saved):
    description = json.loads((saved / "quantizer.json").read_text())
    assert (description["dim"], description["num_codebooks"], description["codebook_size"]) == (5, 2, 4)
    assert description["report"]["num_frames"] == 100
    assert len(description["report"]["held_out_errors"]) == 1 + IndexSearch().refinements


@pytest.mark.parametrize("name", ["quantizer.json", "quantizer.safetensors"])
def test_a_missing_file_names_the_command_that_makes_it(saved, name):
    (saved / name).unlink()
    with pytest.raises(AsrkdError, match=f"{name}: no such file; .* with: asrkd distill quantizer"):
        load_quantizer(saved)


def test_replaced_or_torn_weights_are_refused(saved):
    weights = saved / "quantizer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(AsrkdError, match="torn or replaced; make it again with: asrkd distill quantizer"):
        load_quantizer(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 9}, "version: expected a number less than or equal to 1"),
        ({"dim": 6}, r"D, N, K are \(5, 2, 4\), quantizer.json has"),
        ({"dimension": 5}, "unknown key"),
    ],
)
def test_a_wrong_description_is_refused(saved, change, message):
    description = json.loads((saved / "quantizer.json").read_text())
    files.write_json(saved / "quantizer.json", {**description, **change})
    with pytest.raises(AsrkdError, match=message):
        load_quantizer(saved)


def test_weights_that_are_not_a_quantizers_are_refused(saved, quantizer):
    description = json.loads((saved / "quantizer.json").read_text())
    state = dict(quantizer.state_dict())
    bad_value = {**state, "mean": torch.full((5,), float("nan"))}
    no_bias = {name: value for name, value in state.items() if name != "to_logits.bias"}
    for contents, message in ((bad_value, "NaN or an infinity"), (no_bias, "not a direct-sum quantizer")):
        save_file(contents, str(saved / "quantizer.safetensors"))
        identity = files.sha256(saved / "quantizer.safetensors")
        files.write_json(saved / "quantizer.json", {**description, "identity": identity})
        with pytest.raises(AsrkdError, match=message) as caught:
            load_quantizer(saved)
        assert "\n" not in str(caught.value)
    (saved / "quantizer.safetensors").write_bytes(b"no weights")
    identity = files.sha256(saved / "quantizer.safetensors")
    files.write_json(saved / "quantizer.json", {**description, "identity": identity})
    with pytest.raises(AsrkdError, match="not safetensors"):
        load_quantizer(saved)


def test_a_reference_state_says_its_sizes_by_its_shapes(reference):
    record, quantizer = reference.record, reference.quantizer
    sizes = (quantizer.dim, quantizer.num_codebooks, quantizer.codebook_size)
    assert sizes == (record["dim"], record["num_codebooks"], record["codebook_size"])
    assert not quantizer.mean.any()
    for name in ("centers", "logits_scale", "centers_scale", "to_logits.weight", "to_logits.bias"):
        assert torch.equal(quantizer.state_dict()[name], reference.state[name])


def test_a_reference_quantizer_survives_being_saved(reference, tmp_path):
    report = measure(reference.quantizer, reference.frames, reference.frames)
    save_quantizer(tmp_path, reference.quantizer, report, {})
    encoded = load_quantizer(tmp_path).quantizer.encode(reference.frames, REFERENCE)
    assert torch.equal(encoded.long(), reference.indexes(5))


def test_a_state_of_something_else_is_refused(reference):
    with pytest.raises(AsrkdError, match=r"expected 'centers' of shape \(N, K, D\)"):
        read_reference_state({"weight": torch.zeros(3)})
    state = {name: value for name, value in reference.state.items() if name != "to_logits.weight"}
    with pytest.raises(AsrkdError, match="multi_quantization state: not a direct-sum quantizer") as caught:
        read_reference_state(state)
    assert "\n" not in str(caught.value)
