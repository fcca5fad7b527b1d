"""Grid of a sweep: settings by combination of values, or a random sample of them, and their runs.

Random points cover each key better than a grid of as many runs if few keys matter (Bergstra and Bengio 2012,
Random search for hyper-parameter optimization, JMLR 13). A point is drawn by the hash of (seed, its name), so
that a larger sample, or a grid with more values, keeps the order of the points that it had.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from asrkd.commands.sweeping.axes import Axis, Value, parse_axes, short_names
from asrkd.core import config
from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError
from asrkd.core.file_names import shortened
from asrkd.core.randomness import derive
from asrkd.core.shell import command

SEED = "seed"  # key whose values are repetitions of a setting
LARGEST = 100_000  # settings


@dataclass(frozen=True)
class Setting:
    """A combination of values of the varied keys, the seed left out."""

    name: str  # file name, and name of the system in `asrkd compare`
    values: Mapping[str, Value]  # by key

    @property
    def overrides(self) -> list[str]:
        """``KEY=VALUE`` of each key."""
        return [f"{key}={value.text}" for key, value in self.values.items()]


@dataclass(frozen=True)
class Run:
    """A training run: a setting with a seed."""

    setting: Setting
    seed: Value | None  # None: the config's
    folder: Path  # relative to the folder of the sweep

    @property
    def varied(self) -> list[str]:
        """``KEY=VALUE`` of each varied key."""
        return [*self.setting.overrides, *([] if self.seed is None else [f"{SEED}={self.seed.text}"])]

    @property
    def name(self) -> str:
        """Name in messages."""
        return self.setting.name if self.seed is None else f"{SEED}={self.seed.label}/{self.setting.name}"


@dataclass(frozen=True)
class Grid:
    """Settings and seeds of a sweep over a config."""

    config: Path
    overrides: tuple[str, ...]  # of --set
    axes: tuple[Axis, ...]  # varied keys, the seed left out
    seeds: tuple[Value, ...]  # empty: the config's
    settings: tuple[Setting, ...]

    @property
    def runs(self) -> list[Run]:
        """Runs of the settings, in the order of the grid, seeds together."""
        return [run for setting in self.settings for run in self.runs_of(setting)]

    def runs_of(self, setting: Setting) -> list[Run]:
        """Return the runs of a setting, one a seed; folders of a name are seeds for ``asrkd compare``."""
        if not self.seeds:
            return [Run(setting, None, Path("runs", setting.name))]
        return [Run(setting, seed, Path("runs", f"{SEED}={seed.label}", setting.name)) for seed in self.seeds]

    def overrides_of(self, run: Run) -> list[str]:
        """Return all overrides of a run, as ``asrkd train --set`` takes them."""
        return [*self.overrides, *run.varied]

    def tree(self, run: Run) -> dict[str, Any]:
        """Return the config of a run as a tree, without base files."""
        return config.load_tree(self.config, self.overrides_of(run))

    def record(self) -> dict[str, Any]:
        """Return what all runs have in common, as JSON: the config without varied keys, and the keys."""
        tree = config.load_tree(self.config, self.overrides)
        keys = [axis.key for axis in self.axes] + [SEED] * bool(self.seeds)
        for key in keys:
            _remove(tree, key)
        return {"config": tree, "vary": sorted(keys)}


def _remove(tree: Any, key: str) -> None:
    """Remove a key, or set an element of a list to null, if it exists."""
    *parents, last = key.split(".")
    for part in parents:
        tree = _child(tree, part)
    if isinstance(tree, dict):
        tree.pop(last, None)
    elif isinstance(tree, list) and last.isdigit() and int(last) < len(tree):
        tree[int(last)] = None


def _child(tree: Any, part: str) -> Any:
    if isinstance(tree, dict):
        return tree.get(part)
    return tree[int(part)] if isinstance(tree, list) and part.isdigit() and int(part) < len(tree) else None


def read_grid(
    kind: type[Section],
    path: Path,
    overrides: Sequence[str],
    vary: Sequence[str],
    samples: int | None = None,
    seed: int = 1,
) -> Grid:
    """Parse the varied keys, choose the settings and validate the config of each run.

    Args:
        kind: schema of configs.
        path: config of the experiment.
        overrides: ``KEY=VALUE`` of each ``--set``.
        vary: ``KEY=VALUE,VALUE`` of each ``--vary``.
        samples: number of settings to draw at random; None: all.
        seed: random seed of the sample.

    Raises:
        AsrkdError: a key, a value, a combination or ``samples`` is not possible; the message names
            the option.
    """
    axes = parse_axes(vary, overrides)
    base = config.load_tree(path, overrides)
    varied = tuple(axis for axis in axes if axis.key != SEED)
    seeds = next((axis.values for axis in axes if axis.key == SEED), ())
    settings = _settings(varied, path.stem)
    if samples is not None:
        settings = sample(settings, samples, seed)
    grid = Grid(path, tuple(overrides), varied, tuple(seeds), tuple(settings))
    _validate(grid, kind, base)
    return grid


def _settings(axes: Sequence[Axis], plain_name: str) -> list[Setting]:
    """List the full grid, the last key fastest; ``plain_name`` is that of the only setting without keys."""
    if (count := prod(len(axis.values) for axis in axes)) > LARGEST:
        raise AsrkdError(f"--vary: {count} settings, expected at most {LARGEST}; give fewer values or keys")
    # The name of a store may hold a slash, which would lead to another folder.
    names = {key: name.replace("/", "-") for key, name in short_names([axis.key for axis in axes]).items()}
    settings = []
    for values in product(*(axis.values for axis in axes)):
        parts = [f"{names[axis.key]}={value.label}" for axis, value in zip(axes, values, strict=True)]
        name = shortened(",".join(parts) or plain_name)
        settings.append(Setting(name, {axis.key: value for axis, value in zip(axes, values, strict=True)}))
    return settings


def sample(settings: Sequence[Setting], count: int, seed: int) -> list[Setting]:
    """Draw ``count`` settings at random without replacement; in the order of the grid.

    Raises:
        AsrkdError: there are not so many.
    """
    if not 1 <= count <= len(settings):
        raise AsrkdError(f"--samples {count}: expected 1 to {len(settings)}, the settings of the grid")
    drawn = sorted(settings, key=lambda setting: derive(seed, "sweep", setting.name))[:count]
    chosen = {setting.name for setting in drawn}
    return [setting for setting in settings if setting.name in chosen]


def _validate(grid: Grid, kind: type[Section], base: dict[str, Any]) -> None:
    """Raise AsrkdError if a run changes the tree ``base`` to no valid config, or to that of another run."""
    earlier: dict[str, Run] = {}
    for run in grid.runs:
        options = [word for each in run.varied for word in ("--vary", each)]
        written = _parse(kind, grid, run, deepcopy(base), options).model_dump_json()
        if written in earlier:
            other = earlier[written].name
            raise AsrkdError(f"{command(*options)}: the same config as {other}; remove one of the values")
        earlier[written] = run


def _parse(
    kind: type[Section], grid: Grid, run: Run, tree: dict[str, Any], options: Sequence[str]
) -> Section:
    try:
        for override in run.varied:
            config.set_key(tree, override)
        return config.parse(kind, tree, str(grid.config))
    except AsrkdError as error:
        text = str(error)
        if text.startswith("--set "):
            raise AsrkdError(f"--vary {text.removeprefix('--set ')}") from None
        raise AsrkdError(f"{command(*_blamed(text, options))}: {text}") from None


def _blamed(text: str, options: Sequence[str]) -> Sequence[str]:
    """Return the ``--vary`` whose key a message names; all if it names none."""
    for option, varied in zip(options[::2], options[1::2], strict=True):
        if f" {varied.partition('=')[0]}:" in text:
            return [option, varied]
    return options
