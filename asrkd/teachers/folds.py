"""Teachers that were each trained without a fold of the cuts: whom to ask about a cut."""

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
from asrkd.models.directory import LoadedModel, load_model


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
            + f"; train one for each: {_train_without(missing[0] if missing else 0, first.count, '...')}"
        )
    return FoldTeachers(tuple(by_fold[number] for number in range(first.count)), first.by)


def fold_warning(path: Path, cuts: Sequence[MonoCut]) -> str | None:
    """What to say where a teacher is asked alone: whether it was trained without a fold, and on these cuts.

    Where the cuts that it learned are not to be found any more, ``cuts`` are
    taken for them if they are the ones that its lineage has the digest of.

    Args:
        path: its model folder.
        cuts: that it is to be asked about.

    Returns:
        A line; None if it left out no fold, or learned none of the cuts as far as is known.

    Raises:
        AsrkdError: its config or its lineage is torn.
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
        f"of these {len(cuts)} cuts, which it may know by heart; to have each heard by a teacher that did "
        f"not see it, give those of all {folds.count} folds: --teacher ... --teacher ..."
    )


def _learned(path: Path, data: dict[str, Any], cuts: Sequence[MonoCut]) -> set[str]:
    """Digests of the cuts that a teacher was trained on, as far as they are known."""
    is_learned, manifest = learned_by(data, str(path / MODEL_CONFIG)), Path(data["train"])
    try:
        if manifest.is_file():
            return {line.cut.digest for line in stream_lines(manifest) if is_learned(line.cut)}
        digests = [record.digest for record in records(cuts) if is_learned(record)]
    except AsrkdError:  # torn, or without what its folds go by: not what it was trained on
        return set()
    lineage = files.read_json(path / LINEAGE) if (path / LINEAGE).is_file() else {}
    return set(digests) if files.sha256_of(digests) == lineage.get("train_cuts") else set()


def _data(path: Path) -> dict[str, Any]:
    """What a teacher was trained on, by its own config."""
    load_model(path)  # or the error that says why not
    data: dict[str, Any] = files.read_json(path / MODEL_CONFIG).get("experiment", {}).get("data", {})
    return data


def _settings(path: Path) -> FoldSettings:
    """Which fold the teacher left out, by its own config."""
    folds = _data(path).get("folds")
    if folds is None:
        raise AsrkdError(
            f"{path}: several --teacher are for folds, and it was not trained without one; train it with: "
            f"{_train_without(0, 'K', path)}"
        )
    return config.parse(FoldSettings, folds, str(path / MODEL_CONFIG))


def _train_without(fold: int, count: int | str, out: Path | str) -> str:
    """The command that trains a teacher without one of ``count`` folds."""
    folds = ("--set", f"data.folds.count={count}", "--set", f"data.folds.left_out={fold}")
    return command("asrkd", "train", "CONFIG", *folds, "--out", out)


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
