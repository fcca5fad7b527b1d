"""Target stores that a model was trained on, by its lineage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import CONTRACT, LINEAGE
from asrkd.core.errors import AsrkdError


@dataclass(frozen=True)
class UsedStore:
    """Store that a model was trained on."""

    name: str  # path of the store in the config
    path: Path  # present path of the store
    kind: str  # 'nbest', 'codebook', ...
    num_hypotheses: int | None  # hypotheses used of each list; None: not an N-best store
    weights: tuple[dict[str, Any], ...] = ()  # settings of the objectives that weighted its hypotheses


@dataclass(frozen=True)
class UsedStores:
    """Stores of a model, and the names of stores that no longer exist."""

    stores: list[UsedStore]
    missing: list[str]


def used_stores(model: Path) -> UsedStores:
    """Find the stores of the model in a folder, by the hash of their contracts.

    The paths in a lineage are relative to the working directory of the
    training; a store that was moved together with the model is found too.

    Raises:
        AsrkdError: the lineage is torn.
    """
    if not (model / LINEAGE).is_file():
        return UsedStores([], [])
    lineage = files.read_json(model / LINEAGE)
    stores, missing = [], []
    try:
        for name, contract in sorted(lineage["target_stores"].items()):
            path = find(name, model, contract)
            if path is None:
                missing.append(name)
                continue
            kind = files.read_json(path / CONTRACT)["kind"]
            depth = _num_hypotheses(lineage["experiment"], name) if kind == "nbest" else None
            weights = _weights(lineage["experiment"], name) if kind == "nbest" else ()
            stores.append(UsedStore(name, path, kind, depth, weights))
    except (KeyError, TypeError, AttributeError) as error:
        raise AsrkdError(
            f"{model / LINEAGE}: not as asrkd train writes it ({error!r}); restore it from a copy"
        ) from None
    return UsedStores(stores, missing)


def find(name: str, model: Path, contract: str) -> Path | None:
    """Find the store ``name`` whose contract has this hash, here or from a folder above the model."""
    above = model.resolve().parents
    nearby = [Path(name), *(folder / name for folder in above), model.parent / Path(name).name]
    for path in nearby:
        if (path / CONTRACT).is_file() and files.sha256(path / CONTRACT) == contract:
            return path
    return None


def _num_hypotheses(experiment: dict[str, Any], name: str) -> int:
    """Return the largest ``num_hypotheses`` of the objectives on the store."""
    return max(int(settings.get("num_hypotheses", 0)) for settings in _settings(experiment, name))


def _weights(experiment: dict[str, Any], name: str) -> tuple[dict[str, Any], ...]:
    """Return the different settings of weights of the objectives on the store."""
    weights: list[dict[str, Any]] = []
    for settings in _settings(experiment, name):
        if settings.get("weights") and settings["weights"] not in weights:
            weights.append(settings["weights"])
    return tuple(weights)


def _settings(experiment: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the settings of all objectives on the store."""
    entries = [entry for phase in experiment["phases"] for entry in phase["objectives"]]
    return [s for entry in entries for s in entry.values() if s and s["targets"] == name]
