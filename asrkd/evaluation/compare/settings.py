"""Settings that systems were trained with, side by side: their configs, without objectives and stores.

Paths of data are left out for the digests of what was read there, which the lineage holds. A difference
counts unless it follows from the objectives (epochs of expanded lists, cuts without targets) or does not
reach the weights (dev set, validation, the choice of seeds).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from asrkd.evaluation.compare.systems import TEACHER, System
from asrkd.evaluation.compare.training_record import TrainingRecord
from asrkd.training.metrics import curve

UPDATES, EPOCHS, PARAMETERS = "updates", "epochs", "parameters"
TRAIN_SIZE, SEEDS, VALIDATION = "train size", "seeds", "validation"
MISSING = "\u2013"  # a key that a config lacks
NUM_DIGITS = 12  # of a digest
_DIGESTS = {  # keys of the lineage by setting
    "train cuts": "train_cuts",
    "train transcripts": "train_texts",
    "train text": "train_text",
    "tokens": "tokens",
    "noise cuts": "noise_cuts",
}
_DEV_DIGESTS = {"dev cuts": "dev_cuts", "dev transcripts": "dev_texts", "dev text": "dev_text"}
_WITHOUT_EFFECT = {EPOCHS, TRAIN_SIZE, SEEDS, *_DEV_DIGESTS}
_IN_DIGESTS = {"data": {"train", "dev", "tokens", "train_text", "dev_text"}}
_SEPARATE = {"phases", "seed", "stores"}  # keys of a config that are compared in another way, or not


@dataclass(frozen=True)
class Setting:
    """A setting of all systems whose configs are known."""

    name: str  # key of the config, or a noun, such as updates
    values: dict[str, list[str]]  # by system: one if its seeds agree, else one a seed; none: unknown
    differs: bool  # whether it differs between systems, or seeds of one, other than the teacher
    is_condition: bool  # whether a difference makes the comparison unequal


@dataclass(frozen=True)
class TrainedSystem:
    """A system with the records of its trainings that are known, one a seed."""

    name: str
    is_teacher: bool
    records: list[TrainingRecord]


def trained_systems(
    systems: Sequence[System], records: Mapping[str, list[TrainingRecord]]
) -> list[TrainedSystem]:
    """Return the systems whose configs are known, given the records of all by name."""
    known = {name: [each for each in of_system if each.has_settings] for name, of_system in records.items()}
    return [
        TrainedSystem(system.name, system.role == TEACHER, known[system.name])
        for system in systems
        if known[system.name]
    ]


def compare_settings(systems: Sequence[TrainedSystem]) -> list[Setting]:
    """Lay the settings of systems side by side, those of the teacher beside them."""
    records = [record for system in systems for record in system.records]
    if not records:
        return []
    recorded = [_recorded(record) for record in records]
    rows: dict[str, Sequence[str | None]] = {name: [row[name] for row in recorded] for name in recorded[0]}
    rows |= dict(_merged("", [_tree(record) for record in records]))
    compared = [_setting(name, texts, systems) for name, texts in rows.items() if any(texts)]
    return [*compared, _seeds(systems)]


def _setting(name: str, texts: Sequence[str | None], systems: Sequence[TrainedSystem]) -> Setting:
    """Gather the texts of all records by system."""
    left = iter(texts)
    by_system = {system.name: [next(left) for _ in system.records] for system in systems}
    values = {name: [text for text in of_system if text] for name, of_system in by_system.items()}
    compared = {text for system in systems if not system.is_teacher for text in values[system.name]}
    return Setting(
        name=name,
        values={name: texts[:1] if len(set(texts)) == 1 else texts for name, texts in values.items()},
        differs=len(compared) > 1,
        is_condition=name not in _WITHOUT_EFFECT and name.partition(".")[0] != VALIDATION,
    )


def _seeds(systems: Sequence[TrainedSystem]) -> Setting:
    seeds = {system.name: [", ".join(str(record.seed) for record in system.records)] for system in systems}
    compared = {seeds[system.name][0] for system in systems if not system.is_teacher}
    return Setting(SEEDS, seeds, len(compared) > 1, False)


def _recorded(record: TrainingRecord) -> dict[str, str | None]:
    """Return the settings that are not keys of the config, by name; None: unknown."""
    rows: dict[str, str | None] = {
        UPDATES: f"{record.num_updates:,}" if record.num_updates else None,
        "phases": _lengths(record),
        EPOCHS: _epochs(record),
        PARAMETERS: None if record.params is None else f"{record.params:,}",
        TRAIN_SIZE: _size(record),
    }
    for name, key in {**_DIGESTS, **_DEV_DIGESTS}.items():
        digest = record.lineage.get(key)
        rows[name] = str(digest)[:NUM_DIGITS] if digest else None
    return rows


def _size(record: TrainingRecord) -> str | None:
    cuts, hours = (curve(record.log, "data", name) for name in ("cuts", "hours"))
    return f"{cuts[-1][1]:,.0f} cuts, {hours[-1][1]:,.2f} h" if cuts and hours else None


def _lengths(record: TrainingRecord) -> str:
    """Describe the number of phases, and their lengths if there are several: '2: 600 steps, 9 epochs'."""
    if len(record.phases) < 2:
        return str(len(record.phases))
    described = []
    for number, phase in enumerate(record.phases):
        length = f"{phase['steps']} steps" if phase.get("steps") else f"{phase.get('epochs')} epochs"
        going_on = "" if phase.get("restart", True) else " without restart"
        described.append(f"{length}{going_on}{_other_optim(record, number)}")
    return f"{len(described)}: {', '.join(described)}"


def _other_optim(record: TrainingRecord, phase: int) -> str:
    """Describe the settings of a phase's optimizer that are not those of the last schedule."""
    if not record.phases[phase].get("restart", True) or phase == record.last_schedule:
        return ""
    here, last = record.optim_of(phase), record.optim
    other = [f"{key} {_text(value)}" for key, value in here.items() if value != last.get(key)]
    return f" at {' '.join(other)}" if other else ""


def _epochs(record: TrainingRecord) -> str | None:
    """Describe the completed epochs, with their passes over the cuts where lists are expanded."""
    passes = curve(record.log, "train", "epoch")
    if not passes:
        return None
    settings = [
        each for entry in chain(*record.objectives) for each in entry.values() if isinstance(each, dict)
    ]
    expanded = [each.get("num_hypotheses") for each in settings if each.get("expand") is True]
    per_epoch = max((number for number in expanded if isinstance(number, int)), default=1)
    completed = int(passes[-1][1])
    return f"{completed // per_epoch} of {per_epoch} passes" if per_epoch > 1 else str(completed)


def _tree(record: TrainingRecord) -> dict[str, Any]:
    """Return what is compared key by key: the config, and the features."""
    tree = {name: value for name, value in record.experiment.items() if name not in _SEPARATE}
    for section, keys in _IN_DIGESTS.items():
        if isinstance(tree.get(section), dict):
            tree[section] = {key: value for key, value in tree[section].items() if key not in keys}
    if record.optim:
        tree["optim"] = {**record.optim, "warmup_steps": record.warmup_steps}
    augment = tree.get("augment")
    if isinstance(augment, dict) and isinstance(augment.get("noise"), dict):
        noise = {key: value for key, value in augment["noise"].items() if key != "cuts"}
        tree["augment"] = {**augment, "noise": noise}
    features = record.architecture.get("features")
    return {**tree, "features": features} if isinstance(features, dict) else tree


def _merged(name: str, values: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the keys below a key, with the text of each value; sections of different kinds are one key."""
    trees = [value for value in values if isinstance(value, dict)]
    keys = list(dict.fromkeys(key for tree in trees for key in tree))
    shared = [key for key in keys if all(key in tree for tree in trees)]
    if not name or (len(trees) == len(values) and keys and 2 * len(shared) >= len(keys)):
        for key in keys:
            yield from _merged(f"{name}.{key}" if name else key, [tree.get(key, _Missing) for tree in trees])
    else:
        yield name, [_text(value) for value in values]


class _Missing:
    """Stands for a key that a config lacks; null is a value."""


def _text(value: Any) -> str:
    if value is _Missing:
        return MISSING
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
