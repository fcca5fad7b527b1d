"""Configs from YAML: bases, overrides, and errors that help."""

from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field

from asrkd.core import config
from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError


class Optim(Section):
    lr: float = Field(0.1, gt=0)
    warmup_steps: int = 5


class Phase(Section):
    steps: int = 1
    names: list[str] = []


class Experiment(Section):
    optim: Optim = Optim()
    phases: list[Phase] = []
    maybe: Phase | None = None
    seed: int = 1
    schedule: Literal["cosine", "linear"] = "cosine"
    is_quiet: bool = False


def write(path: Path, tree: object) -> Path:
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return path


def load(path: Path, *overrides: str) -> Experiment:
    return config.load(Experiment, path, overrides)


def test_a_file_says_what_differs_from_the_defaults(tmp_path):
    path = write(tmp_path / "a.yaml", {"optim": {"lr": 1e-3}, "phases": [{"steps": 3}]})
    assert load(path) == Experiment(optim=Optim(lr=0.001), phases=[Phase(steps=3)])


def test_a_base_is_merged_key_by_key_and_lists_are_replaced(tmp_path):
    (tmp_path / "conf").mkdir()
    write(
        tmp_path / "base.yaml",
        {"optim": {"lr": 0.5, "warmup_steps": 7}, "phases": [{"steps": 1}] * 2, "seed": 4},
    )
    write(tmp_path / "conf/mid.yaml", {"base": "../base.yaml", "optim": {"lr": 0.25}})
    path = write(tmp_path / "conf/top.yaml", {"base": "mid.yaml", "phases": [{"steps": 9}]})
    expected = Experiment(optim=Optim(lr=0.25, warmup_steps=7), phases=[Phase(steps=9)], seed=4)
    assert load(path) == expected


def test_circular_and_absent_bases_are_named(tmp_path):
    write(tmp_path / "a.yaml", "base: b.yaml")
    write(tmp_path / "b.yaml", "base: a.yaml")
    with pytest.raises(AsrkdError, match=r"yaml: base files form a circle"):
        load(tmp_path / "a.yaml")
    with pytest.raises(AsrkdError, match=r"nowhere\.yaml: no such file"):
        load(write(tmp_path / "c.yaml", "base: nowhere.yaml"))


def test_a_file_of_a_similar_name_is_suggested(tmp_path):
    path = write(tmp_path / "teacher.yaml", "seed: 2")
    with pytest.raises(AsrkdError, match=r"techer\.yaml: no such file; did you mean 'teacher\.yaml'\?$"):
        load(path.with_name("techer.yaml"))
    with pytest.raises(AsrkdError, match=r"unlike\.yml: no such file$"):
        load(path.with_name("unlike.yml"))


def test_an_override_beyond_a_list_says_how_many_entries_there_are(tmp_path):
    path = write(tmp_path / "a.yaml", {"phases": [{"steps": 1}, {"steps": 2}]})
    with pytest.raises(
        AsrkdError, match="no such place in the config: phases has 2 entries, numbered 0 to 1$"
    ):
        load(path, "phases.2.steps=1")


def test_overrides_reach_into_sections_and_lists(tmp_path):
    path = write(tmp_path / "a.yaml", {"phases": [{"steps": 1}, {"steps": 2, "names": ["a", "b"]}]})
    found = load(path, "phases.1.steps=7", "phases.1.names.0=z", "optim.lr=1e-2", "maybe.steps=3", "seed=2")
    assert found.phases == [Phase(steps=1), Phase(steps=7, names=["z", "b"])]
    assert (found.optim.lr, found.maybe, found.seed) == (0.01, Phase(steps=3), 2)
    assert load(path, "phases=[{steps: 4}]").phases == [Phase(steps=4)]
    assert load(path, "maybe.steps=3", "maybe=null").maybe is None


def test_a_section_that_is_null_can_be_set_into(tmp_path):
    assert load(write(tmp_path / "a.yaml", "maybe:\noptim: {lr: 1}"), "maybe.steps=3").maybe == Phase(steps=3)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("optim.lr", "expected key.key=value"),
        ("=3", "expected key.key=value"),
        ("phases.5.steps=1", "no such place in the config: phases has 1 entry$"),
        ("phases.x.steps=1", "no such place"),
        ("seed.x=1", "no such place"),
        ("optim.lr=[1", "not a YAML value"),
        ("optim.lrr=1", "optim.lrr: unknown key; did you mean 'lr'"),
        ("optim.warmup_step=1", "did you mean 'warmup_steps'"),
        ("phases.0.step=1", "phases.0.step: unknown key; did you mean 'steps'"),
        ("maybe.stepz=1", "did you mean 'steps'"),
        ("optim.qqq=1", "optim.qqq: unknown key; expected one of lr"),
        ("phases.0={step: 4}", "phases.0.step: unknown key; did you mean 'steps'"),  # steps is missing too
        ("sede=1", "sede: unknown key; did you mean 'seed'"),
        ("optim.lr=-1", "optim.lr: .*greater than 0, found -1"),
        ("optim.lr=.inf", "optim.lr: .*finite number, found inf"),
        ("optim.lr=.nan", "optim.lr: .*finite number, found nan"),
        ("optim.lr=inf", "optim.lr: .*finite number, found 'inf'"),
        ("optim.lr=fast", "optim.lr: expected a number, found 'fast'"),
        ("optim.warmup_steps=abc", "optim.warmup_steps: expected an integer, found 'abc'"),
        ("optim.warmup_steps=1.5", "optim.warmup_steps: expected an integer, found 1.5"),
        ("optim.lr=0", "optim.lr: expected a number greater than 0, found 0"),
        ("schedule=cosin", "schedule: expected 'cosine' or 'linear', found 'cosin'"),
        ("is_quiet=maybe", "is_quiet: expected true or false, found 'maybe'"),
        ("phases=3", "phases: expected a list, found 3"),
    ],
)
def test_a_mistake_is_a_line_that_says_where(tmp_path, override, complaint):
    path = write(tmp_path / "a.yaml", {"phases": [{"steps": 1}], "seed": 1})
    with pytest.raises(AsrkdError, match=complaint) as error:
        load(path, override)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("optim: {lr: 1", "not YAML"),
        ("optim: " + "[" * 20_000, "not YAML: RecursionError"),
        ("optim: &within [*within]", "not YAML: .*Circular reference"),
        ("- 1\n- 2", "expected a mapping of keys to values, found list"),
        ("", "expected a mapping of keys to values, found NoneType"),
        ("optim: {learning_rate: 1}", "unknown key"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, text, complaint):
    with pytest.raises(AsrkdError, match=rf"a\.yaml: .*{complaint}") as error:
        load(write(tmp_path / "a.yaml", text))
    assert "\n" not in str(error.value)


def test_a_config_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        Experiment().seed = 3


def test_a_duplicate_key_is_an_error(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(AsrkdError, match="duplicate key 'seed'"):
        config.load(_Seeded, path)


class _Seeded(Section):
    seed: int
