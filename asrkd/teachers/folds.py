"""Teachers that were each trained without a fold of the cuts: whom to ask about a cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd import config, files
from asrkd.cut_records import CutRecord
from asrkd.errors import AsrkdError
from asrkd.folds import FoldKey, FoldSettings, fold_of
from asrkd.models.directory import CONFIG, LoadedModel, load_model


@dataclass(frozen=True)
class FoldTeachers:
    """Model folders by the fold that each was trained without."""

    paths: tuple[Path, ...]
    by: FoldKey

    def of(self, record: CutRecord) -> Path:
        """The teacher that did not see a cut; AsrkdError if the cut lacks what folds go by."""
        return self.paths[fold_of(record, len(self.paths), self.by)]

    def contract(self) -> dict[str, Any]:
        """What a store says of its teacher: the hashes of all of them, in the order of the folds."""
        loaded = [load_model(path) for path in self.paths]
        folds = {"by": self.by, "weights_sha256": [model.weights_sha256 for model in loaded]}
        return {"tokens": loaded[0].tokens.identity(), "folds": folds}


def fold_teachers(paths: Sequence[Path]) -> FoldTeachers:
    """Put the teachers in the order of their folds.

    Raises:
        AsrkdError: they are not one for each fold, or do not go together.
    """
    settings = {path: _settings(path) for path in paths}
    first = settings[paths[0]]
    for path, own in settings.items():
        if (own.count, own.by) != (first.count, first.by):
            raise AsrkdError(
                f"{path}: left out a fold of {own.count} by {own.by}, {paths[0]} one of {first.count} by "
                f"{first.by}; train all with the same data.folds"
            )
        _check_alike(load_model(path), load_model(paths[0]))
    by_fold = {own.left_out: path for path, own in settings.items()}
    missing = sorted(set(range(first.count)) - by_fold.keys())
    if missing or len(paths) != first.count:
        raise AsrkdError(
            f"--teacher: {len(paths)} teachers for {first.count} folds"
            + (f", none of them without fold {missing[0]}" if missing else "")
            + f"; train one for each: asrkd train CONFIG --set data.folds.count={first.count} "
            f"--set data.folds.left_out={missing[0] if missing else 0} --out ..."
        )
    return FoldTeachers(tuple(by_fold[number] for number in range(first.count)), first.by)


def _settings(path: Path) -> FoldSettings:
    """Which fold the teacher left out, by its own config."""
    load_model(path)  # or the error that says why not
    folds = files.read_json(path / CONFIG).get("experiment", {}).get("data", {}).get("folds")
    if folds is None:
        raise AsrkdError(
            f"{path}: several --teacher are for folds, and it was not trained without one; train it with: "
            f"asrkd train CONFIG --set data.folds.count=K --set data.folds.left_out=0 --out {path}"
        )
    return config.parse(FoldSettings, folds, str(path / CONFIG))


def _check_alike(model: LoadedModel, other: LoadedModel) -> None:
    for name, own, theirs in (
        ("tokens", model.tokens.identity(), other.tokens.identity()),
        ("features", model.architecture.features, other.architecture.features),
    ):
        if own != theirs:
            raise AsrkdError(
                f"{model.path}: its {name} are not those of {other.path}; "
                "train the teachers of all folds alike"
            )
