"""States of torch.save without unpickling: every tensor as torch reads it, and nothing run."""

import collections
import os

import pytest
import torch
from safetensors.torch import load_file

from asrkd.commands.convert_teacher import convert
from asrkd.core.errors import AsrkdError
from asrkd.core.torch_pickle import read_state


class Intruder:
    """A thing that, unpickled, makes a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_tensors_are_those_that_torch_reads(tmp_path):
    base = torch.randn(6, 4)
    state = collections.OrderedDict(
        whole=base,
        transposed=base.T,
        part=base[2:4, 1:],
        half=base.half(),
        brain=base.bfloat16(),
        counts=torch.arange(5),
        flags=torch.tensor([True, False]),
        scalar=torch.tensor(3.5),
        learned=torch.nn.Parameter(base + 1),
    )
    torch.save(state, tmp_path / "state.pt")
    read = read_state(tmp_path / "state.pt")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], value) for name, value in state.items())
    assert all(read[name].dtype == value.dtype for name, value in state.items())


def test_a_state_is_converted_once_and_never_overwritten(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    torch.save(model.state_dict(), tmp_path / "state.pth")
    said = convert(tmp_path / "state.pth", tmp_path / "out")
    assert said == f"{tmp_path}/out/model.safetensors: 4 tensors; put its config.json beside it"
    assert convert(tmp_path / "state.pth", tmp_path / "out") == said
    found = load_file(str(tmp_path / "out/model.safetensors"))
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(AsrkdError, match="holds another model than"):
        convert(tmp_path / "other.pth", tmp_path / "out")


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_the_state_in_a_checkpoint_is_found(tmp_path, key):
    torch.save({key: {"w": torch.ones(2)}, "step": 5}, tmp_path / "checkpoint.pt")
    assert torch.equal(read_state(tmp_path / "checkpoint.pt")["w"], torch.ones(2))


def test_what_a_pickle_would_run_is_not_run(tmp_path):
    torch.save({"w": torch.ones(2), "trap": Intruder(tmp_path / "made")}, tmp_path / "state.pt")
    with pytest.raises(AsrkdError, match=r"holds a (posix|nt).mkdir, which is not read: only tensors are"):
        read_state(tmp_path / "state.pt")
    assert not (tmp_path / "made").exists()


def test_a_tensor_that_reaches_beyond_its_bytes_is_refused(tmp_path):
    import zipfile

    torch.save({"w": torch.ones(64)}, tmp_path / "good.pt")
    with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(tmp_path / "bad.pt", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name)[:8] if "/data/" in name else good.read(name))
    with pytest.raises(AsrkdError, match=r"bad.pt: not a file of torch.save"):
        read_state(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a file of torch.save"),
        (b"\x80\x02}q\x00.", "not a file of torch.save, or one of torch before 1.6"),
        (None, "no such file"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(AsrkdError, match=complaint):
        read_state(tmp_path / "state.pt")


def test_a_whole_model_is_not_a_state(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(
        AsrkdError, match=r"only tensors are; save the weights alone: torch.save\(model.state"
    ):
        read_state(tmp_path / "model.pt")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    with pytest.raises(AsrkdError, match="expected a state dict"):
        read_state(tmp_path / "numbers.pt")
