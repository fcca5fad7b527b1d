"""Cross-fold teachers: each was trained without one fold of the cuts, and decodes that fold alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from asrkd.core import config, files
from asrkd.core.artifacts import LINEAGE, MODEL_CONFIG
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.data.cuts.folds import FoldKey, FoldSettings, fold_of, learned_by
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.records import CutRecord, records
from asrkd.models.directory import load_model
from asrkd.models.recognizer import LoadedModel


@dataclass(frozen=True)
class FoldTeachers:
    """Model folders in the order of the folds that their training left out."""

    paths: tuple[Path, ...]
    by: FoldKey

    def of(self, record: CutRecord) -> Path:
        """Return the teacher that was not trained on a cut; AsrkdError if it lacks the field of the folds."""
        return self.paths[fold_of(record, len(self.paths), self.by)]

    def contract(self) -> dict[str, Any]:
        """Return the teachers as a store's contract records them: hashes in the order of the folds."""
        loaded = [load_model(path) for path in self.paths]
        folds = {"by": self.by, "weights_sha256": [model.weights_sha256 for model in loaded]}
        return {"tokens": loaded[0].tokens.identity(), "folds": folds}


def fold_teachers(paths: Sequence[Path]) -> FoldTeachers:
    """Put teachers in the order of their folds.

    Raises:
        AsrkdError: there is not one teacher for each fold, or tokens, features or folds differ between them.
    """
    settings = {path: _settings(path) for path in paths}
    first = settings[paths[0]]
    for path, folds in settings.items():
        if (folds.count, folds.by) != (first.count, first.by):
            raise AsrkdError(
                f"{path}: left out a fold of {folds.count} by {folds.by}, {paths[0]} one of {first.count} by "
                f"{first.by}; train all with the same data.folds"
            )
        _check_compatible(load_model(path), load_model(paths[0]))
    by_fold = {folds.left_out: path for path, folds in settings.items()}
    missing = sorted(set(range(first.count)) - by_fold.keys())
    if missing or len(paths) != first.count:
        raise AsrkdError(
            f"--teacher: {len(paths)} teachers for {first.count} folds"
            + (f", none trained without fold {missing[0]}" if missing else "")
            + f"; train one for each: {_train_without(missing[0] if missing else 0, first.count, '...')}"
        )
    return FoldTeachers(tuple(by_fold[number] for number in range(first.count)), first.by)


def fold_warning(path: Path, cuts: Sequence[MonoCut]) -> str | None:
    """Return a warning where the teacher of one fold is to decode cuts of its own training data.

    Where the manifest of its training data is gone, ``cuts`` are taken for
    the training data if their digest is the one in the teacher's lineage.

    Args:
        path: model folder of the teacher.
        cuts: cuts for the teacher to decode.

    Returns:
        The warning; None if the training left out no fold, or none of the cuts is known to be training data.

    Raises:
        AsrkdError: the teacher's config or lineage is corrupt.
    """
    data = _data(path)
    if data.get("folds") is None:
        return None
    folds = config.parse(FoldSettings, data["folds"], str(path / MODEL_CONFIG))
    learned = _learned(path, data, cuts)
    count = sum(record.digest in learned for record in records(cuts))
    if not count:
        return None
    return (
        f"{path}: was trained without fold {folds.left_out} of {folds.count} by {folds.by}, and on {count} "
        f"of these {len(cuts)} cuts, which it may have memorized; to have each cut decoded by a teacher that "
        f"was not trained on it, give the teachers of all {folds.count} folds: --teacher ... --teacher ..."
    )


def _learned(path: Path, data: dict[str, Any], cuts: Sequence[MonoCut]) -> set[str]:
    """Return digests of the cuts that a teacher was trained on, as far as they are known."""
    is_learned, manifest = learned_by(data, str(path / MODEL_CONFIG)), Path(data["train"])
    try:
        if manifest.is_file():
            return {line.cut.digest for line in stream_lines(manifest) if is_learned(line.cut)}
        digests = [record.digest for record in records(cuts) if is_learned(record)]
    except AsrkdError:  # corrupt, or without the field of its folds: not its training data
        return set()
    lineage = files.read_json(path / LINEAGE) if (path / LINEAGE).is_file() else {}
    return set(digests) if files.sha256_of(digests) == lineage.get("train_cuts") else set()


def _data(path: Path) -> dict[str, Any]:
    """Return the section ``data`` of the config that a teacher was trained with."""
    load_model(path)  # raises where the folder is no model
    data: dict[str, Any] = files.read_json(path / MODEL_CONFIG).get("experiment", {}).get("data", {})
    return data


def _settings(path: Path) -> FoldSettings:
    """Return the folds of the teacher's config, and the one left out."""
    folds = _data(path).get("folds")
    if folds is None:
        raise AsrkdError(
            f"{path}: several --teacher are for folds, and its training left out none; train it with: "
            f"{_train_without(0, 'K', path)}"
        )
    return config.parse(FoldSettings, folds, str(path / MODEL_CONFIG))


def _train_without(fold: int, count: int | str, out: Path | str) -> str:
    """Return the command that trains a teacher without one of ``count`` folds."""
    folds = ("--set", f"data.folds.count={count}", "--set", f"data.folds.left_out={fold}")
    return command("asrkd", "train", "CONFIG", *folds, "--out", out)


def _check_compatible(model: LoadedModel, other: LoadedModel) -> None:
    """Raise AsrkdError unless both models have the same tokens and features."""
    for name, value, expected in (
        ("tokens", model.tokens.identity(), other.tokens.identity()),
        ("features", model.architecture.features, other.architecture.features),
    ):
        if value != expected:
            raise AsrkdError(
                f"{model.path}: its {name} are not those of {other.path}; "
                "train the teachers of all folds with the same tokens and features"
            )
