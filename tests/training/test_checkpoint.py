"""Checkpoints: what is saved comes back bit by bit, two are kept, a broken one is stepped over."""

import shutil

import pytest
import torch
from torch import nn

from asrkd.core.errors import AsrkdError
from asrkd.training import checkpoint as ckpt
from asrkd.training.checkpoint import Checkpoint, Position, load_latest, save_checkpoint
from asrkd.training.config import OptimConfig
from asrkd.training.schedule import make_optimizer


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        module(x).square().sum().backward()
        optimizer.step()


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def fresh(module: nn.Module) -> torch.optim.AdamW:
    return make_optimizer(dict(module.named_parameters()), OptimConfig(lr=0.1))


def make(step: int, number: float = 1.0) -> Checkpoint:
    return Checkpoint(Position(step=step), {"w": torch.tensor([number])}, {}, [])


def test_a_run_that_is_put_back_goes_on_bit_by_bit(module, tmp_path):
    optimizer = fresh(module)
    train(module, optimizer, range(3))
    position = Position(3, 1, 2, 5, 7, "digest", 0.25, {"wer": 0.5, "loss": 1 / 3}, 12.5, 1)
    snapshots = [{"w": torch.randn(2)} for _ in range(12)]  # more than nine: their order is by number
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    save_checkpoint(tmp_path, Checkpoint(position, weights, ckpt.optimizer_moments(optimizer), snapshots))
    train(module, optimizer, range(3, 6))

    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    found = load_latest(tmp_path)
    assert found is not None
    other.load_state_dict(found.weights)
    restored = fresh(other)
    ckpt.restore_moments(restored, found.moments)
    train(other, restored, range(3, 6))

    assert found.position == position
    assert [s["w"].tolist() for s in found.snapshots] == [s["w"].tolist() for s in snapshots]
    for name, value in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_moments_come_back_exactly_with_their_types(module, tmp_path):
    optimizer = fresh(module)
    train(module, optimizer, range(2))
    moments = ckpt.optimizer_moments(optimizer)
    assert {key.partition(".")[2] for key in moments} == {"step", "exp_avg", "exp_avg_sq"}
    restored = fresh(module)
    ckpt.restore_moments(restored, moments)
    again = ckpt.optimizer_moments(restored)
    assert again.keys() == moments.keys()
    for key, value in moments.items():
        assert again[key].dtype == value.dtype
        assert torch.equal(again[key], value)


def test_the_last_two_are_kept(tmp_path):
    for step in (1, 20, 100):
        save_checkpoint(tmp_path, make(step))
    assert [path.name for path in ckpt.list_checkpoints(tmp_path)] == [
        "step-00000020.safetensors", "step-00000100.safetensors",
    ]  # fmt: skip
    found = load_latest(tmp_path)
    assert found is not None and found.position.step == 100


def test_an_empty_or_absent_folder_has_none(tmp_path):
    assert load_latest(tmp_path) is None
    assert load_latest(tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["short", "empty", "foreign"])
def test_a_broken_newest_one_is_stepped_over_with_a_line(tmp_path, capsys, damage):
    save_checkpoint(tmp_path, make(1))
    newest = save_checkpoint(tmp_path, make(2))
    whole = newest.read_bytes()
    newest.write_bytes({"short": whole[:-1], "empty": b"", "foreign": b"not a checkpoint"}[damage])
    found = load_latest(tmp_path)
    assert found is not None and found.position.step == 1
    line = capsys.readouterr().err
    assert line.startswith(f"asrkd: {newest}: broken checkpoint skipped")
    assert line.count("\n") == 1


def test_every_flipped_byte_is_found(tmp_path, capsys):
    """Of tensors, of the position, of their names: any bit that is not what was written."""
    moments = {"0.exp_avg": torch.arange(3.0), "0.step": torch.tensor(4.0)}
    position = Position(step=2, best_wer=0.5, plan_digest="abc")
    save_checkpoint(tmp_path, make(1))
    newest = save_checkpoint(tmp_path, Checkpoint(position, {"w": torch.ones(2, 2)}, moments, []))
    whole = newest.read_bytes()
    for place in range(len(whole)):
        newest.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = load_latest(tmp_path)
        assert found is not None
        assert found.position.step == 1, (place, whole[place - 20 : place + 20])
    capsys.readouterr()
    newest.write_bytes(whole)
    found = load_latest(tmp_path)
    assert found is not None and found.position == position
    assert capsys.readouterr().err == ""


def test_all_broken_is_an_error_and_not_the_same_as_none(tmp_path, capsys):
    for step in (1, 2):
        path = save_checkpoint(tmp_path, make(step))
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        AsrkdError, match=rf"{tmp_path}: all 2 checkpoints are broken.*rm -r {tmp_path}"
    ) as error:
        load_latest(tmp_path)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().err.count("broken checkpoint skipped") == 2


def test_one_that_cannot_be_read_is_an_error_that_names_it(tmp_path):
    path = save_checkpoint(tmp_path, make(3))
    assert ckpt.load_checkpoint(path).position.step == 3
    path.write_bytes(b"")
    with pytest.raises(AsrkdError, match=f"{path}: cannot be read"):
        ckpt.load_checkpoint(path)


def test_leftovers_are_removed_and_checkpoints_are_not(tmp_path):
    path = save_checkpoint(tmp_path, make(3))
    (tmp_path / "step-00000004.safetensors.0123abcd.partial").write_bytes(b"half")
    ckpt.clear_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    ckpt.clear_unfinished(tmp_path / "nowhere")


def test_half_precision_scalars_and_empty_tensors_are_restored(tmp_path):
    weights = {"half": torch.randn(3).bfloat16(), "scalar": torch.tensor(7), "empty": torch.zeros(0, 4)}
    save_checkpoint(tmp_path, Checkpoint(Position(), weights, {}, []))
    found = load_latest(tmp_path)
    assert found is not None
    for name, value in weights.items():
        assert found.weights[name].dtype == value.dtype
        assert torch.equal(found.weights[name], value)


def test_tensors_of_one_storage_and_transposed_ones_are_saved(tmp_path):
    base = torch.arange(6.0).view(2, 3)
    save_checkpoint(tmp_path, Checkpoint(Position(), {"a": base.t(), "b": base[:, :2]}, {}, []))
    found = load_latest(tmp_path)
    assert found is not None
    assert torch.equal(found.weights["a"], base.t())
    assert torch.equal(found.weights["b"], base[:, :2])


def test_a_restored_checkpoint_replaces_later_broken_ones(tmp_path):
    for step in (200, 300):
        save_checkpoint(tmp_path, make(step))
    for path in ckpt.list_checkpoints(tmp_path):
        path.write_bytes(path.read_bytes()[:-1])
    aside = tmp_path / "aside"
    shutil.copy(save_checkpoint(aside, make(100)), tmp_path)
    assert load_latest(tmp_path).position.step == 100
    save_checkpoint(tmp_path, make(150))
    names = [path.name for path in ckpt.list_checkpoints(tmp_path)]
    assert names == ["step-00000100.safetensors", "step-00000150.safetensors"]
    assert load_latest(tmp_path).position.step == 150
