"""Notes on the range of a sweep's chosen value."""

import pytest

from asrkd.commands.sweeping.grid import read_grid
from asrkd.commands.sweeping.results import results
from asrkd.commands.sweeping.rounds import Standing
from asrkd.training.config import TrainConfig
from tests.commands.sweeping.test_halving import LENGTHS, write


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (
            "0.1,0.2,0.3",
            "optim.weight_decay: the chosen 0.1 is the lowest of its range; try lower values too",
        ),
        (
            "0.0,0.05,0.1",
            "optim.weight_decay: the chosen 0.1 is the highest of its range; try higher values too",
        ),
        ("0.0,0.1,0.2", None),
        ("0.1,0.2,0.0", None),
    ],
)
def test_the_edge_of_a_range_is_noted_unless_there_is_nothing_beyond(config, tmp_path, values, note):
    grid = read_grid(TrainConfig, config, [], [f"optim.weight_decay={values}"])
    best = 0.0 if note is None and values.endswith("0.0") else 0.1
    for run in grid.runs:
        wer = 0.1 if float(run.folder.name.partition("=")[2]) == best else 0.5
        write(tmp_path / run.folder, {LENGTHS.total: wer}, LENGTHS.total, 1.0)
    found = results(Standing(tmp_path, grid, (), {run.folder: LENGTHS for run in grid.runs}), {})
    assert found.chosen is not None
    assert found.chosen.setting.values["optim.weight_decay"].value == best
    assert found.notes == (() if note is None else (note,))
