"""Quantizers to and from multi_quantization: against its own code where it is, and there and back."""

import pytest
import torch
from safetensors.torch import save_file

from asrkd.core.errors import AsrkdError
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.multi_quantization import (
    read_reference,
    read_reference_state,
    reference_id,
    reference_state,
    write_reference,
)
from asrkd.quantizer.search.search import REFERENCE


@pytest.fixture
def offset(generator):
    """A quantizer of data about (20, 20, ...), every parameter random, and frames for it."""
    made = DirectSumQuantizer(6, num_codebooks=4, codebook_size=16)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        made.logits_scale.fill_(0.02)
        made.centers_scale.fill_(-0.03)
        made.mean.copy_(20 + torch.randn(6, generator=generator))
    return made.eval().requires_grad_(False), made.mean + torch.randn(200, 6, generator=generator)


def test_folding_the_mean_keeps_vectors_and_indexes(offset):
    made, frames = offset
    folded = read_reference_state(reference_state(made, "0123abcd45"))
    assert not folded.mean.any()
    indexes = made.encode(frames)
    torch.testing.assert_close(folded.decode(indexes), made.decode(indexes), rtol=1e-4, atol=1e-4)
    same = (folded.encode(frames, REFERENCE) == made.encode(frames, REFERENCE)).all(dim=1)
    assert same.float().mean() > 0.98  # the rest are decided by float32's last bits of 20
    logits = folded.logits(frames)
    torch.testing.assert_close(logits, made.logits(frames - made.mean), rtol=1e-4, atol=1e-3)


def test_the_reference_code_gives_our_indexes_and_vectors(offset):
    package = pytest.importorskip("multi_quantization", reason="to run it: pip install multi_quantization")
    made, frames = offset
    theirs = package.Quantizer(dim=6, codebook_size=16, num_codebooks=4)
    theirs.load_state_dict(reference_state(made, "0123abcd45"))
    assert theirs.get_id() == "0123abcd"
    with torch.no_grad():
        indexes = theirs.encode(frames, refine_indexes_iters=5, as_bytes=False)
        same = (indexes == made.encode(frames, REFERENCE)).all(dim=1)
        assert same.float().mean() > 0.98
        torch.testing.assert_close(theirs.decode(indexes), made.decode(indexes), rtol=1e-4, atol=1e-4)
        # Its mean is that of the centers, ours that of the data: with the fold both are about 20.
        assert (theirs.get_data_mean() - made.mean).abs().max() < 3


@pytest.mark.parametrize("name", ["q.pt", "q.safetensors"])
def test_a_state_comes_back_from_a_file_as_it_was(reference, tmp_path, name):
    write_reference(tmp_path / name, reference.state)
    state = read_reference(tmp_path / name)
    assert state.keys() == reference.state.keys()
    for key, value in reference.state.items():
        assert torch.equal(state[key], value), key
    assert reference_id(state) == "0123abcd"
    made = read_reference_state(state)
    assert torch.equal(made.encode(reference.frames, REFERENCE).long(), reference.indexes(5))


def test_what_was_read_is_written_with_the_same_values(reference):
    state = reference_state(reference.quantizer, "0123abcd" + 56 * "0")
    for key, value in reference.state.items():
        assert torch.equal(state[key], value), key
        assert state[key].dtype == value.dtype


def test_sizes_that_the_package_does_not_know_are_refused():
    with pytest.raises(AsrkdError, match="3 codebooks, expected a power of two"):
        reference_state(DirectSumQuantizer(4, 3, 16), "00")
    with pytest.raises(AsrkdError, match="200 entries, expected a power of two"):
        reference_state(DirectSumQuantizer(4, 2, 200), "00")


def test_files_that_are_none_are_refused_in_a_line(tmp_path, reference):
    with pytest.raises(AsrkdError, match=r"q.bin: expected a name that ends in .pt or .safetensors"):
        write_reference(tmp_path / "q.bin", reference.state)
    with pytest.raises(AsrkdError, match=r"q.pt: no such file"):
        read_reference(tmp_path / "q.pt")
    (tmp_path / "q.pt").write_bytes(b"no state")
    with pytest.raises(AsrkdError, match=r"q.pt: not a file of torch.save"):
        read_reference(tmp_path / "q.pt")
    save_file({"weight": torch.zeros(3)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(AsrkdError, match="expected 'centers' of shape"):
        read_reference_state(read_reference(tmp_path / "other.safetensors"))
