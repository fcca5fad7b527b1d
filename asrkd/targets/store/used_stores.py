"""The target stores that a model was trained on, found through its lineage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import CONTRACT, LINEAGE
from asrkd.core.errors import AsrkdError


@dataclass(frozen=True)
class UsedStore:
    """A store as a model's training used it."""

    name: str  # the path in its config
    path: Path  # where it is
    kind: str  # 'nbest', 'codebook', ...
    num_hypotheses: int | None  # of an N-best list, the best so many; None: of another kind
    weights: tuple[dict[str, Any], ...] = ()  # settings of those objectives that weighed its hypotheses


@dataclass(frozen=True)
class UsedStores:
    """The stores of a model, and the names of those that are no longer there."""

    found: list[UsedStore]
    missing: list[str]


def used_stores(model: Path) -> UsedStores:
    """Find the stores of the model in a folder, by the hash of their contracts.

    The paths in a lineage are relative to the working directory of the
    training; a store is also found if it was moved together with the model.

    Raises:
        AsrkdError: the lineage is torn.
    """
    if not (model / LINEAGE).is_file():
        return UsedStores([], [])
    lineage = files.read_json(model / LINEAGE)
    found, missing = [], []
    try:
        for name, contract in sorted(lineage["target_stores"].items()):
            path = find(name, model, contract)
            if path is None:
                missing.append(name)
                continue
            kind = files.read_json(path / CONTRACT)["kind"]
            depth = _num_hypotheses(lineage["experiment"], name) if kind == "nbest" else None
            weights = _weights(lineage["experiment"], name) if kind == "nbest" else ()
            found.append(UsedStore(name, path, kind, depth, weights))
    except (KeyError, TypeError, AttributeError) as error:
        raise AsrkdError(
            f"{model / LINEAGE}: not as asrkd train writes it ({error!r}); put it back from a copy"
        ) from None
    return UsedStores(found, missing)


def find(name: str, model: Path, contract: str) -> Path | None:
    """The store ``name`` whose contract has this hash, from here or from a folder above the model."""
    above = model.resolve().parents
    nearby = [Path(name), *(folder / name for folder in above), model.parent / Path(name).name]
    for path in nearby:
        if (path / CONTRACT).is_file() and files.sha256(path / CONTRACT) == contract:
            return path
    return None


def _num_hypotheses(experiment: dict[str, Any], name: str) -> int:
    """The most hypotheses that an objective took from the store."""
    return max(int(own.get("num_hypotheses", 0)) for own in _settings(experiment, name))


def _weights(experiment: dict[str, Any], name: str) -> tuple[dict[str, Any], ...]:
    """The different settings by which objectives weighed what they took from the store."""
    found: list[dict[str, Any]] = []
    for own in _settings(experiment, name):
        if own.get("weights") and own["weights"] not in found:
            found.append(own["weights"])
    return tuple(found)


def _settings(experiment: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Of all objectives that read the store."""
    entries = [entry for phase in experiment["phases"] for entry in phase["objectives"]]
    return [own for entry in entries for own in entry.values() if own and own["targets"] == name]
