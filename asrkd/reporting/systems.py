"""The systems of a report: scored models, and who is the teacher, who the baseline, who a student."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from asrkd import files
from asrkd.errors import AsrkdError
from asrkd.inheritance.lineage import UsedStores, used_stores
from asrkd.scoring.score_folder import ScoreFolder, read_score, require_comparable


class Role(str, Enum):
    """What a system is to the others."""

    TEACHER = "teacher"
    BASELINE = "baseline"
    STUDENT = "student"


@dataclass(frozen=True)
class System:
    """A scored model."""

    folder: Path
    name: str  # of the folder; the models of one name are its seeds
    seed: int
    label: str  # the name, with the seed where the report has several of the name
    role: Role
    number: int  # of the student among the students, from 0: its colour and its mark
    score: ScoreFolder
    stores: UsedStores
    experiment: dict[str, Any]  # its resolved config


@dataclass(frozen=True)
class Naming:
    """The names by which teacher and baseline are known."""

    teacher: str = "teacher"
    baseline: str = "baseline"

    def role(self, name: str) -> Role:
        """What a folder of this name is."""
        return {self.teacher: Role.TEACHER, self.baseline: Role.BASELINE}.get(name, Role.STUDENT)


def read_systems(folders: Sequence[Path], score_name: str, naming: Naming) -> list[System]:
    """Read scored models, in the order given.

    Raises:
        AsrkdError: a model or its score is missing, two are the same, or
            they were not scored alike.
    """
    scores = [_score(folder, score_name) for folder in folders]
    require_comparable(scores)
    described = [_experiment(folder) for folder in folders]
    names = [folder.resolve().name for folder in folders]
    seeds = [int(experiment["seed"]) for experiment in described]
    _refuse_twins(folders, list(zip(names, seeds, strict=True)))
    students = list(dict.fromkeys(name for name in names if naming.role(name) is Role.STUDENT))
    return [
        System(
            folder=folder,
            name=name,
            seed=seed,
            label=name if names.count(name) == 1 else f"{name} (seed {seed})",
            role=naming.role(name),
            number=students.index(name) if name in students else 0,
            score=score,
            stores=used_stores(folder),
            experiment=experiment,
        )
        for folder, name, seed, score, experiment in zip(
            folders, names, seeds, scores, described, strict=True
        )
    ]


def first_seeds(systems: Sequence[System]) -> list[System]:
    """The first system of each name: what is shown where all seeds would be too much."""
    return list({system.name: system for system in reversed(systems)}.values())[::-1]


def of_role(systems: Sequence[System], role: Role, seed: int) -> System | None:
    """The system of a role and a seed; of any seed where that is absent, and None without one of the role."""
    found = [system for system in systems if system.role is role]
    return next((system for system in found if system.seed == seed), found[0] if found else None)


def _score(folder: Path, score_name: str) -> ScoreFolder:
    if not folder.is_dir():
        raise AsrkdError(f"{folder}: no such model folder; give folders of asrkd train that were scored")
    return read_score(folder / score_name)


def _experiment(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    described = files.read_json(path)
    try:
        experiment: dict[str, Any] = described["experiment"]
        int(experiment["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise AsrkdError(f"{path}: not the config of an asrkd model ({error!r})") from None
    return experiment


def _refuse_twins(folders: Sequence[Path], identities: Sequence[tuple[str, int]]) -> None:
    for number, (folder, identity) in enumerate(zip(folders, identities, strict=True)):
        if identity in identities[:number]:
            name, seed = identity
            raise AsrkdError(f"{folder}: system {name!r} with seed {seed} comes twice; name each model once")
