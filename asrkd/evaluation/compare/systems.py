"""Systems of a comparison: their scores by seed, and their roles of teacher, baseline and student."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import METRICS, MODEL_CONFIG, RUN_RECORD, SCORE, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.evaluation.records.record import read_record
from asrkd.models.directory import is_restored
from asrkd.scoring.score_folder import (
    ScoreFolder,
    check_up_to_date,
    read_score,
    remake_command,
    require_comparable,
)
from asrkd.training.metrics import read_metrics, train_seconds

TEACHER, BASELINE, STUDENT = "teacher", "baseline", "student"  # roles, and names that imply them


@dataclass(frozen=True)
class ScoredRun:
    """The score of a system from one seed."""

    seed: int
    score: ScoreFolder
    model: Path | None
    params: int | None
    train_seconds: float | None

    @property
    def weight_bytes(self) -> int | None:
        """Size of the exported weights, of a restored model by its record; None without a model."""
        if self.model is None:
            return None
        if is_restored(self.model):
            return read_record(self.model / RUN_RECORD).weights.num_bytes
        weights = self.model / WEIGHTS
        return weights.stat().st_size if weights.is_file() else None


@dataclass(frozen=True)
class System:
    """A system with all its seeds."""

    name: str
    role: str
    runs: list[ScoredRun]  # at least one


@dataclass(frozen=True)
class Roles:
    """Names of teacher and baseline; None: chosen by name, see :func:`read_systems`."""

    teacher: str | None = None
    baseline: str | None = None


def read_systems(folders: Sequence[Path], score_name: str, roles: Roles) -> list[System]:
    """Read the scores of model folders, or score folders themselves.

    Args:
        folders: model folders, score folders, or folders with scores in them. A system has the name of its
            model folder, or of the folder itself without a model. Folders of one name are its seeds.
        score_name: name of the score folder inside each folder that is not a score folder itself.
        roles: names of teacher and baseline. By default the teacher is the system called 'teacher', and the
            baseline the one called 'baseline', or else the first other one.

    Raises:
        AsrkdError: a score is missing, unfinished, a duplicate or not comparable with the first; or no system
            has the name in ``roles``.
    """
    runs: dict[str, list[ScoredRun]] = {}
    for folder in folders:
        name, run = _read_run(folder, score_name, runs)
        if any(run.seed == other.seed for other in runs.get(name, [])):
            raise AsrkdError(
                f"{folder}: duplicate system {name!r} with seed {run.seed}; name each folder once, "
                "and give different systems different names"
            )
        runs.setdefault(name, []).append(run)
    require_comparable([run.score for system in runs.values() for run in system])
    teacher = _named(roles.teacher, TEACHER, runs, "--teacher")
    others = [name for name in runs if name != teacher]
    baseline = _named(roles.baseline, BASELINE, runs, "--baseline") or (others[0] if others else None)
    if teacher is not None and teacher == baseline:
        raise AsrkdError(
            f"--baseline {baseline}: is also the teacher; choose another --baseline or --teacher"
        )
    role_of = {teacher: TEACHER, baseline: BASELINE}
    return [System(name, role_of.get(name, STUDENT), of_system) for name, of_system in runs.items()]


def _named(name: str | None, default: str, runs: dict[str, list[ScoredRun]], option: str) -> str | None:
    if name is None:
        return default if default in runs else None
    if name not in runs:
        raise AsrkdError(f"{option} {name}: no such system; expected one of {', '.join(runs)}")
    return name


def _read_run(folder: Path, score_name: str, runs: dict[str, list[ScoredRun]]) -> tuple[str, ScoredRun]:
    """Read a run; returns the name of its system, and the run."""
    if (folder / SCORE).is_file():
        path = folder
        model = folder.parent if (folder.parent / MODEL_CONFIG).is_file() else None
    else:
        path, model = folder / score_name, folder if (folder / MODEL_CONFIG).is_file() else None
        if not (path / SCORE).is_file():
            raise AsrkdError(f"{path / SCORE}: no such file; make it with: {remake_command(path)}")
    name = (model or folder).resolve().name
    scored = read_score(path)
    if model is None:
        if any(run.score.path.resolve() == path.resolve() for run in runs.get(name, [])):
            raise AsrkdError(f"{folder}: duplicate folder; name it once")
        return name, ScoredRun(len(runs.get(name, [])) + 1, scored, None, None, None)
    check_up_to_date(path, model)
    seconds = train_seconds(read_metrics(model / METRICS))
    params = files.read_json(path / SCORE).get("params")
    return name, ScoredRun(_seed(model), scored, model, params, seconds)


def _seed(model: Path) -> int:
    described: Any = files.read_json(model / MODEL_CONFIG)
    try:
        return int(described["experiment"]["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise AsrkdError(
            f"{model / MODEL_CONFIG}: not the config of an asrkd model ({error!r}); "
            "use model folders of asrkd train, or score folders"
        ) from None
