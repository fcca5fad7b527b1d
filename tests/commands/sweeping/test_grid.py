"""Varied keys, the grid and its samples, against products and splits that are written out."""

from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asrkd.commands.sweeping.axes import parse_axes, short_names, split_values
from asrkd.commands.sweeping.grid import read_grid, sample
from asrkd.core.errors import AsrkdError
from asrkd.training.config import TrainConfig

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text("abc,[]{}'\": ", max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=5,
)


def joined(values: list[object]) -> str:
    """Values with commas between them, as YAML writes a list, without its brackets."""
    return yaml.safe_dump(values, default_flow_style=True, width=10**6).strip()[1:-1]


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_values_between_commas_are_those_that_were_joined(values):
    parts = split_values(joined(values), "--vary")
    assert [yaml.safe_load(part) for part in parts] == values


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["optim.lr"], "expected KEY=VALUE,VALUE"),
        (["=1,2"], "expected KEY=VALUE,VALUE"),
        (["optim.lr=1"], r"expected two values or more; set a single one with --set optim\.lr=1"),
        (["optim.lr=1,,2"], "not YAML values"),
        (["optim.lr=1,2,"], "empty value"),
        (["optim.lr="], "empty value"),
        (["optim.lr=1,2,1"], "duplicate value 1; remove one"),
        (["optim.lr=1e-3,0.001"], "duplicate value 0.001"),
        (["a={b: 1, c: 2},{c: 2, b: 1}"], "duplicate value"),
        (["a={b: 1,2"], "not YAML values with commas between them"),
        (["a='x,2"], "not YAML values with commas between them"),
        (["a=*,2"], "not YAML values with commas between them"),
        (["a=1,2]"], "not YAML values with commas between them"),
        (["a=2024-13-01,2"], "'2024-13-01' is not a YAML value"),
        (["a=2024-01-01,2"], "'2024-01-01': expected text, a number, .*; put quotes around text"),
        (["a=!!binary aGk=,2"], "'!!binary aGk=': expected text"),
        (["a={1: x, b: y},2"], "expected text, a number"),
        (["a=&b [*b],2"], "expected text, a number"),
        (["a=1,2", "a=3,4"], "--vary a: varied twice"),
        (["a.b=1,2", "a={b: 1},{b: 2}"], r"--vary a: part of a\.b, varied too|--vary a: "),
        ([], "--vary is missing"),
    ],
)
def test_a_mistake_in_vary_is_named(vary, message):
    with pytest.raises(AsrkdError, match=message):
        parse_axes(vary, [])


def test_a_key_is_set_or_varied():
    with pytest.raises(AsrkdError, match=r"--set optim.lr=3: --vary optim.lr replaces it; remove one"):
        parse_axes(["optim.lr=1,2"], ["optim.lr=3"])
    with pytest.raises(AsrkdError, match="--set a.b=3: --vary a replaces it"):
        parse_axes(["a={b: 1},{b: 2}"], ["a.b=3"])
    parse_axes(["a.b=1,2"], ["a={c: 1}"])  # the section is set first


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, min_size=2, max_size=5))
def test_names_of_different_values_differ_and_are_names_of_files(values):
    unique = [value for number, value in enumerate(values) if repr(value) not in map(repr, values[:number])]
    assume(len(unique) > 1)
    try:
        (axis,) = parse_axes([f"key={joined(unique)}"], [])
    except AsrkdError:  # 1 and '1' are the same for a config
        assume(False)
    labels = [value.label for value in axis.values]
    assert len(set(labels)) == len(labels)
    assert all(label and len(label) < 80 and not set(label) & set("/,\\ \n\0") for label in labels)


def test_short_names_are_unique_endings():
    keys = ["optim.lr", "data.lr", "phases.0.objectives.1.codebook.scale", "optim.betas.0", "seed"]
    assert short_names(keys) == {
        "optim.lr": "optim.lr",
        "data.lr": "data.lr",
        "phases.0.objectives.1.codebook.scale": "scale",
        "optim.betas.0": "betas.0",
        "seed": "seed",
    }


def test_the_name_of_a_store_does_not_lead_out_of_the_sweep(config):
    grid = grid_of(config, "stores./tmp/a/b=x,y")
    assert [str(run.folder) for run in grid.runs] == ["runs/-tmp-a-b=x", "runs/-tmp-a-b=y"]


VARY = ["optim.lr=0.01,0.02,0.03", "model.dropout=0,0.1", "averaging.last=1,2", "seed=1,2"]


def grid_of(config: Path, *vary: str, **more):
    return read_grid(TrainConfig, config, more.pop("overrides", []), vary or VARY, **more)


def test_a_grid_has_every_combination_with_every_seed_once(config):
    grid = grid_of(config)
    expected = [
        f"lr={lr},dropout={dropout},last={last}"
        for lr, dropout, last in product(("0.01", "0.02", "0.03"), ("0", "0.1"), (1, 2))
    ]
    assert [setting.name for setting in grid.settings] == expected
    folders = [str(run.folder) for run in grid.runs]
    assert folders == [f"runs/seed={seed}/{name}" for name in expected for seed in (1, 2)]
    last = grid.tree(grid.runs[-1])
    assert (last["optim"]["lr"], last["model"]["dropout"], last["averaging"]["last"], last["seed"]) == (
        0.03,
        0.1,
        2,
        2,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_larger_sample_or_grid_keeps_the_points_of_a_smaller_one(config, seed):
    whole = grid_of(config).settings
    names = [{setting.name for setting in sample(whole, count, seed)} for count in range(1, 13)]
    assert all(
        small < large and len(large) == len(small) + 1 for small, large in zip(names, names[1:], strict=False)
    )
    larger = grid_of(config, "optim.lr=0.01,0.02,0.03,0.04", *VARY[1:]).settings
    again = [setting.name for setting in sample(larger, 16, seed) if "lr=0.04" not in setting.name]
    assert again == [setting.name for setting in whole]


def test_samples_of_other_seeds_are_others_and_cover_the_grid_evenly(config):
    whole = grid_of(config).settings
    counts = {setting.name: 0 for setting in whole}
    for seed in range(600):
        for setting in sample(whole, 4, seed):
            counts[setting.name] += 1
    # 600 draws of a third of the points: 200 each, with a standard deviation of 11.5.
    assert all(150 < count < 250 for count in counts.values())
    for count in (0, 13):
        with pytest.raises(AsrkdError, match="expected 1 to 12, the settings of the grid"):
            sample(whole, count, 1)


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("optim.lr=0.01,-1", r"^--vary optim.lr=-1: .*optim.lr: expected a number greater than 0, found -1"),
        ("optim.lrr=1,2", r"^--vary optim.lrr=1: .*unknown key; did you mean 'lr'\?"),
        ("phases.4.steps=1,2", r"^--vary 'phases.4.steps=1': there is no such place"),
        (
            "augment.specaugment=null,{num_frame_masks: a}",
            r"^--vary 'augment.specaugment=\{num_frame",
        ),
        ("phases.0.steps=8,'8'", "the same config as steps=8|duplicate value"),
        ("optim.weight_decay=0,0.0", "the same config as weight_decay=0; remove one of the values"),
    ],
)
def test_every_combination_is_validated_first(config, vary, message):
    with pytest.raises(AsrkdError, match=message):
        grid_of(config, vary)


def test_keys_that_go_together_are_both_named(config):
    named = r"--vary optim.schedule=cosine --vary optim.epoch_factor=0.9: .*go together"
    with pytest.raises(AsrkdError, match=named):
        grid_of(config, "optim.schedule=exponential,cosine", "optim.epoch_factor=0.9,0.8")


def test_a_grid_that_is_too_large_is_refused(config):
    many = ",".join(map(str, range(1, 400)))
    with pytest.raises(AsrkdError, match="159201 settings, expected at most 100000"):
        grid_of(config, f"phases.0.steps={many}", f"averaging.last={many}")
