"""The systems that are compared: whose score is in which folder, and which of them is the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import METRICS, MODEL_CONFIG, SCORE, SCORE_REQUEST, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import make_anew
from asrkd.scoring.score_folder import ScoreFolder, read_score, remake_command, require_comparable
from asrkd.training.metrics import read_metrics

TEACHER, BASELINE, STUDENT = "teacher", "baseline", "student"  # roles, and the names that have them unasked


@dataclass(frozen=True)
class ScoredRun:
    """A system's score from one seed."""

    seed: int
    score: ScoreFolder
    model: Path | None
    params: int | None
    train_seconds: float | None

    @property
    def weight_bytes(self) -> int | None:
        """Size of the exported weights."""
        weights = self.model / WEIGHTS if self.model else None
        return weights.stat().st_size if weights and weights.is_file() else None


@dataclass(frozen=True)
class System:
    """All seeds of one system."""

    name: str
    role: str
    runs: list[ScoredRun]  # at least one


@dataclass(frozen=True)
class Roles:
    """Which system is which, by name; None: found by name."""

    teacher: str | None = None
    baseline: str | None = None


def read_systems(folders: Sequence[Path], score_name: str, roles: Roles) -> list[System]:
    """Read the scores of model folders, or score folders themselves.

    Args:
        folders: of models, of scores, or with scores in them; a system is
            called by the name of its model's folder, or of the folder given
            where there is no model. Folders of one name are its seeds.
        score_name: name of the score folder inside each folder that is none itself.
        roles: the teacher and the baseline. Unless they are named, the system
            called 'teacher' is one, and 'baseline' or else the first other one the other.

    Raises:
        AsrkdError: a score is missing or unfinished, was not made like the
            first, comes twice; or no system has a name that is given.
    """
    runs: dict[str, list[ScoredRun]] = {}
    for folder in folders:
        name, run = _read_run(folder, score_name, runs)
        if any(run.seed == other.seed for other in runs.get(name, [])):
            raise AsrkdError(
                f"{folder}: system {name!r} with seed {run.seed} comes twice; name a folder once, "
                "and give systems that differ different names"
            )
        runs.setdefault(name, []).append(run)
    require_comparable([run.score for system in runs.values() for run in system])
    teacher = _named(roles.teacher, TEACHER, runs, "--teacher")
    others = [name for name in runs if name != teacher]
    baseline = _named(roles.baseline, BASELINE, runs, "--baseline") or (others[0] if others else None)
    if teacher is not None and teacher == baseline:
        raise AsrkdError(f"--baseline {baseline}: is the teacher; name another system, or another --teacher")
    role_of = {teacher: TEACHER, baseline: BASELINE}
    return [System(name, role_of.get(name, STUDENT), found) for name, found in runs.items()]


def _named(given: str | None, usual: str, runs: dict[str, list[ScoredRun]], option: str) -> str | None:
    if given is None:
        return usual if usual in runs else None
    if given not in runs:
        raise AsrkdError(f"{option} {given}: no such system; there are {', '.join(runs)}")
    return given


def _read_run(folder: Path, score_name: str, runs: dict[str, list[ScoredRun]]) -> tuple[str, ScoredRun]:
    """The name of the system, and its run."""
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
            raise AsrkdError(f"{folder}: comes twice; name a folder once")
        return name, ScoredRun(len(runs.get(name, [])) + 1, scored, None, None, None)
    _check_fresh(path, model)
    ends = [record for record in read_metrics(model / METRICS) if record["kind"] == "end"]
    seconds = ends[-1].get("train_seconds") if ends else None
    params = files.read_json(path / SCORE).get("params")
    return name, ScoredRun(_seed(model), scored, model, params, seconds)


def _check_fresh(score: Path, model: Path) -> None:
    """Refuse a score of weights that the model has no longer; those that are gone are nobody's."""
    request = files.read_json(score / SCORE_REQUEST) if (score / SCORE_REQUEST).is_file() else None
    expected = request.get("model") if isinstance(request, dict) else None
    if expected is not None and (model / WEIGHTS).is_file() and files.sha256(model / WEIGHTS) != expected:
        raise AsrkdError(
            f"{score}: is older than the weights of {model}; "
            f"{make_anew(score, remake_command(score), 'the score')}"
        )


def _seed(model: Path) -> int:
    described: Any = files.read_json(model / MODEL_CONFIG)
    try:
        return int(described["experiment"]["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise AsrkdError(
            f"{model / MODEL_CONFIG}: not the config of an asrkd model ({error!r}); "
            "name the model folders that asrkd train made, or score folders"
        ) from None
