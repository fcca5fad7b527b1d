"""Whether a run record is of the run that a config would train: the same settings and the same data.

Compared are the resolved configs, without the folders that paths lead through, and the digests of cuts,
transcripts, tokens and noise. A store is compared by its name, and by its contract where it exists: a recipe
need not make the stores of rows that it restores. Versions and the processor are not compared.
"""

import copy
from pathlib import PurePath
from typing import Any

from asrkd.core import config
from asrkd.core.output_folder import first_difference
from asrkd.evaluation.records.record import RunRecord
from asrkd.models.directory import VERSION
from asrkd.targets.sources.settings import TRANSCRIPT
from asrkd.training.config import TrainConfig

_DIGESTED = ("train", "dev", "train_text", "dev_text", "tokens")  # paths of data, compared by digests
# Keys of a lineage that are of the machine, or of targets and not compared as a whole.
_NOT_COMPARED = ("asrkd", "torch", "mkl_debug_cpu_type", "experiment", "target_stores", "live_targets")


def settings_difference(record: RunRecord, experiment: TrainConfig, where: str) -> str | None:
    """Describe the first difference of a recorded config from another; None if both are of one run.

    Args:
        record: the record.
        experiment: the config of the run.
        where: file of the record, for messages.

    Raises:
        AsrkdError: this asrkd cannot read the recorded config.
    """
    version = record.model.get("version", 1)  # older models have none
    layers = first_difference(version, VERSION, "the version of the layers")
    return layers or first_difference(_settings(_experiment(record, where)), _settings(experiment))


def data_difference(record: RunRecord, digests: dict[str, Any]) -> str | None:
    """Describe the first difference of the recorded data from other data; None if both are the same.

    Args:
        record: the record.
        digests: keys of the lineage of the run: digests of data, and contracts of the stores that exist.
    """
    recorded, present = (_data(lineage) for lineage in (record.lineage, digests))
    stores = [_by_name(lineage.get("target_stores", {})) for lineage in (record.lineage, digests)]
    common = stores[0].keys() & stores[1].keys()
    for lineage, contracts in zip((recorded, present), stores, strict=True):
        lineage["target_stores"] = {name: contracts[name] for name in common}
    return first_difference(recorded, present)


def records_difference(record: RunRecord, other: RunRecord, where: str) -> str | None:
    """Describe the first difference between the runs of two records; None if they are of the same run.

    Args:
        record: a record.
        other: a record of a model of this asrkd.
        where: file of ``record``, for messages.

    Raises:
        AsrkdError: this asrkd cannot read a recorded config.
    """
    settings = settings_difference(record, _experiment(other, where), where)
    return settings or data_difference(record, other.lineage)


def _experiment(record: RunRecord, where: str) -> TrainConfig:
    """Parse the recorded config; AsrkdError if this asrkd cannot read it."""
    tree = copy.deepcopy(record.lineage["experiment"])
    for entry in _objectives(tree):
        for kind in [kind for kind, settings in entry.items() if settings is None]:
            del entry[kind]  # another kind than the entry's; in a config it would mean the kind's defaults
    return config.parse(TrainConfig, tree, where)


def _settings(experiment: TrainConfig) -> dict[str, Any]:
    """Return a config as JSON without the paths that digests stand for, and other paths as names."""
    tree = experiment.model_dump(mode="json")
    tree["data"] = {key: value for key, value in tree["data"].items() if key not in _DIGESTED}
    del tree["stores"]  # those that are used stand in the objectives
    if tree.get("augment", {}).get("noise"):
        tree["augment"]["noise"].pop("cuts", None)
    for entry in _objectives(tree):
        for settings in entry.values():
            if settings and "targets" in settings:
                settings["targets"] = _named(settings["targets"])
    return tree


def _objectives(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objectives of all phases of a dumped config; none where it has another form."""
    try:
        return [entry for phase in tree["phases"] for entry in phase["objectives"] if entry.items()]
    except (KeyError, TypeError, AttributeError):  # the config's own check names the place
        return []


def _named(targets: Any) -> Any:
    """Replace the paths of a store, or of a teacher and its quantizer, by their last parts."""
    if isinstance(targets, dict):
        paths = {"teacher", "quantizer"}
        return {key: _named(value) if value and key in paths else value for key, value in targets.items()}
    return targets if targets == TRANSCRIPT else PurePath(targets).name


def _data(lineage: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in lineage.items() if key not in _NOT_COMPARED}


def _by_name(contracts: dict[str, str]) -> dict[str, str]:
    return {PurePath(path).name: contract for path, contract in contracts.items()}
